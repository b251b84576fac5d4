"""The walls between the rooms stand: each is leaned upon here, and must say so."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "lethe", "migrations", "models_store", "workers")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
GENERATED = ROOT / "migrations" / "versions"
WRITTEN = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *(ROOT / "benchmarks").rglob("*.py")]
LONGEST = 250
JUNK_DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "manager"}
UNSAFE_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}

CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}
LEANED_UPON = [
    ("rooms", "app/main.py", "from workers import tasks"),
    ("rooms", "models_store/store.py", "from app import main"),
    ("hand", "lethe/client.py", "import models_store"),
    ("tensors", "app/main.py", "import torch"),
    ("tensors", "models_store/store.py", "import numpy"),
    ("guests", "workers/methods/boundary_shrink.py", "import time"),
    ("guests", "workers/audits/membership.py", "from models_store import jobs"),
    ("guests", "workers/pruning/omp.py", "import time"),
    ("alone", "workers/pruning/omp.py", "from workers.pruning import synflow"),
    ("alone", "workers/methods/boundary_shrink.py", "from workers.methods import retrain"),
    ("alone", "workers/audits/membership.py", "from workers.audits import accuracy"),
    ("sql", "app/main.py", "import sqlalchemy"),
    ("http", "models_store/store.py", "from fastapi import HTTPException"),
    ("bell", "app/main.py", "import celery"),
    ("inside", "workers/methods/boundary_shrink.py", "from workers import scoring"),
    ("inside", "workers/utils.py", ""),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path, contract: str) -> str:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--contract", contract]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(("contract", "file", "line"), LEANED_UPON)
def test_a_wall_breaks_when_leaned_upon(tree: Path, contract: str, file: str, line: str) -> None:
    with (tree / file).open("a") as source:
        source.write(f"\n{line}\n")

    said = lint_imports(tree, contract)

    assert f"{CONTRACTS[contract]} BROKEN" in said


def test_every_wall_is_leaned_upon() -> None:
    assert {contract for contract, _, _ in LEANED_UPON} == set(CONTRACTS)


@pytest.mark.parametrize("module", ["app.main", "lethe.cli", "models_store.store"])
def test_tensors_stay_out_of_a_process_that_needs_none(module: str) -> None:
    script = (
        f"import sys; import {module};"
        "print([m for m in ('torch', 'numpy', 'scipy', 'PIL', 'pyarrow') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_file_can_be_read_in_one_sitting() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in WRITTEN}
    assert not {
        str(path): lines
        for path, lines in lengths.items()
        if lines > LONGEST and path.parent != GENERATED
    }


def test_there_are_no_junk_drawers() -> None:
    assert not [path for path in SOURCES if path.stem in JUNK_DRAWERS]


def test_a_module_opens_with_one_sentence_on_what_it_is_for() -> None:
    opening = {path: ast.get_docstring(ast.parse(path.read_text())) or "" for path in SOURCES}
    assert not [
        path
        for path, words in opening.items()
        if not words.partition("\n\n")[0].endswith((".", "?"))
    ]


def test_nothing_that_could_run_code_is_ever_unpacked() -> None:
    found = [f"{path}: {what}" for path in SOURCES for what in unsafe(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_the_search_for_unsafe_code_finds_it(line: str) -> None:
    assert list(unsafe(ast.parse(line)))


def test_no_source_names_a_machine_or_leaves_an_end_open() -> None:
    left = re.compile(r"\b(TODO|FIXME|XXX)\b|/work/|pypi\.org")
    found = [path for path in SOURCES if left.search(path.read_text())]
    assert not found


def unsafe(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ({name.name for name in names} & UNSAFE_IMPORTS)
            case ast.ImportFrom(module=str(module)):
                yield from ({module} & UNSAFE_IMPORTS)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load")):
                yield "torch.load"
            case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
                yield name
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield "allow_pickle=True"
