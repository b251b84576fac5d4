# Everything runs in .venv, which is remade whenever requirements.lock changes.
.DEFAULT_GOAL := help
.PHONY: help demo up test audit-bench chaos test-gpu check fix lock bench-cifar10 bench-audit bench-methods bench clean

PYTHON ?= python3
BIN := .venv/bin
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --no-header --quiet
READY := .venv/ready-$(firstword $(shell cksum requirements.lock))

help: ## Say what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY) ## Train, forget a class and 25 images, audit; leaves the service running
	$(BIN)/lethe demo

up: $(READY) ## The service on this machine, without PostgreSQL and Redis
	$(BIN)/lethe up

test: $(READY) ## All tests, in both modes; what cannot run here is listed at the end
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not gpu" \
	    --ignore tests/chaos --ignore tests/audit_bench

audit-bench: $(READY) ## Models of which the truth is known, good and bad, put before the audit
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile tests/audit_bench

chaos: $(READY) ## Kill, freeze and cut everything: no request may be lost
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile tests/chaos

test-gpu: $(READY) ## The tests that need a CUDA device
	$(BIN)/pytest -m gpu

check: $(READY) ## Format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY) ## Let the tools tidy up
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Resolve the dependencies of pyproject.toml anew (needs uv)
	$(COMPILE) --upgrade --extra worker --extra s3 --group dev --output-file requirements.lock
	$(COMPILE) --constraints requirements.lock --extra s3 --output-file requirements-api.lock

bench-cifar10: $(READY) ## CIFAR-10 over HTTP against a real worker: DATA=<folder> MODELS=<folder>
	$(BIN)/python -m benchmarks.cifar10 "$(DATA)" "$(MODELS)" $(ARGS)

bench: $(READY) ## Speed in ratios, on a quiet machine: DATA=<folder> MODELS=<folder>
	$(BIN)/python -m benchmarks.performance "$(DATA)" "$(MODELS)" $(ARGS)

bench-audit: $(READY) ## The audit before known models of CIFAR-10: DATA=<folder> MODELS=<folder>
	$(BIN)/python -m benchmarks.audit_bench "$(DATA)" "$(MODELS)" $(ARGS)

bench-methods: $(READY) ## Every method beside retrained models, no service: DATA=<folder> MODELS=<folder>
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.methods "$(DATA)" "$(MODELS)" $(ARGS)

clean: ## Forget the environment and all caches
	rm -rf .venv .lethe-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build

# uv installs the same lock in seconds; pip does where there is no uv.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
