"""Prune first, then unlearn; and unlearning from a training log: over HTTP, with real processes."""

from typing import Any

import numpy as np
from house import House
from safetensors.numpy import load

PRUNE = {"method": "omp", "sparsity": 0.5, "params": {"epochs": 3}}


def test_a_pruned_version_stays_sparse_in_every_version_that_follows(house: House) -> None:
    asked = house.ask({"kind": "samples", "sample_ids": ["digit-0001", "digit-0002"]},
                      method="l1_sparse", params={"epochs": 2}, prune=PRUNE)  # fmt: skip
    done = house.finished(asked["id"])
    sparse = published(house, done)
    assert sparse["state"] in {"active", "provisional"}
    follow = house.ask({"kind": "class", "label": 4}, method="boundary_shrink")
    later = published(house, house.finished(follow["id"]))

    assert done["prune"] == sparse["prune"] == later["prune"] == PRUNE
    before, after = (weights(house, version) for version in (sparse, later))
    zero = {name: value == 0 for name, value in before.items() if value.ndim == 4}
    total = sum(where.size for where in zero.values())
    assert sum(int(where.sum()) for where in zero.values()) == total - round(0.5 * total)
    assert all((after[name][where] == 0).all() for name, where in zero.items())
    assert any(not np.array_equal(before[name], after[name]) for name in zero)
    job = house.get(f"/jobs/{done['job']}")
    assert job["result"]["prune_seconds"] > 0
    tests = house.get("/models/digits/audit", version=sparse["number"])["tests"]
    found = {test["test"]: test["estimate"] for test in tests}
    assert abs(found["sparsity.convolutions"] - 0.5) < 1e-3
    tests = house.get("/models/digits/audit", version=later["number"])["tests"]
    (went,) = (test["details"] for test in tests if test["test"] == "destination")
    assert 0 <= went["flipped"] <= 1


def test_a_training_log_lets_few_samples_be_taken_back_and_refuses_many(house: House) -> None:
    body = {"model": "digits", "target": {"kind": "class", "label": 2}, "method": "amnesiac"}
    answer = house.client.post("/forget-requests", json=body)
    assert (answer.status_code, "log_updates" in answer.json()["detail"]) == (422, True)
    trained = house.post(
        "/models/digits/train", 202,
        json={"recipe": {"epochs": 4, "batch_size": 8}, "log_updates": True},
    )  # fmt: skip
    job = house.finished_job(trained["id"])
    assert job["status"] == "succeeded", job
    assert len(house.get("/models/digits/versions/active")["updates"]) == 64

    many = house.ask({"kind": "class", "label": 7}, method="amnesiac")
    refused = house.finished(many["id"])
    few = house.ask({"kind": "samples", "sample_ids": ["digit-0101"]}, method="amnesiac")
    done = house.finished(few["id"])

    assert refused["failure"]["code"] == "unusable_input"
    assert "would undo the training" in refused["failure"]["detail"]
    assert (
        house.get(f"/models/digits/versions/{published(house, done)['number']}")["updates"] is None
    )


def published(house: House, done: dict[str, Any]) -> Any:
    """The version that a request led to, whatever the audit thought of it."""
    job = house.get(f"/jobs/{done['job']}")
    assert job["status"] == "succeeded", (done, job)
    return house.get(f"/models/digits/versions/{job['result']['version']}")


def weights(house: House, version: dict[str, Any]) -> dict[str, Any]:
    answer = house.client.get(f"/models/digits/versions/{version['number']}/weights")
    assert answer.status_code == 200, answer.text
    return load(answer.content)
