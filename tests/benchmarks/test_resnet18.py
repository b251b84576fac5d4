"""The unattended script runs through in steps, and steps change nothing."""

import subprocess
import sys
import time
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from given import net

from benchmarks import record, resnet18
from benchmarks.measure import Images
from benchmarks.resnet18 import Bed
from benchmarks.setting import Setting
from workers.data.pixels import Resident
from workers.kinds import Method, Recipe, Samples
from workers.methods.finetune import Finetune
from workers.methods.retrain import Retrain
from workers.pruning.imp import Imp

CLASSES, N = 4, 320
RECIPE = Recipe(epochs=3, batch_size=32, learning_rate=0.05)
METHODS: Mapping[str, Method] = {"retrain": Retrain(), "finetune": Finetune(epochs=2)}
TINY = Setting(
    fresh=lambda seed: net(seed, channels=1, classes=CLASSES),
    recipe=RECIPE,
    pruner=Imp(rounds=1, rewind=1, sparsity=0.5, images="training"),
    methods=METHODS,
)
KNOWN_BY = ("name", "target", "data", "seed")


def bed(cache: Path, until: float = inf) -> Bed:
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (N, 8, 8, 1), generator=chance).to(torch.uint8)
    rows = torch.arange(N)
    samples = Samples(Resident(pixels), rows % CLASSES, rows)
    images = Images(samples, [f"image-{row}" for row in range(N)], rows % 5 > 0)
    return Bed(images, TINY, cache, until)


def opened(folder: Path) -> record.Record:
    return record.Record(folder / "made.json", {}, KNOWN_BY)


def measured(kept: record.Record) -> list[dict[str, Any]]:
    changing = {"seconds", "rte_seconds", "prune_seconds", "measured_at"}
    return [{key: row[key] for key in row.keys() - changing} for row in kept.rows]


def test_stopped_at_every_place_it_ends_with_the_same_rows(tmp_path: Path) -> None:
    whole, steps = tmp_path / "whole", tmp_path / "steps"
    at_once = opened(whole)
    resnet18.go(bed(whole), at_once, list(bed(whole).cases(1)))

    count = 0
    while len((kept := opened(steps)).rows) < len(at_once.rows):
        todo = [case for case in bed(steps).cases(1) if not kept.knows(case.key)]
        _one_step(steps, kept, todo)
        count += 1

    assert count > len(at_once.rows)
    assert measured(opened(steps)) == measured(at_once)
    assert not list(steps.glob("*.run"))


def _one_step(folder: Path, kept: record.Record, todo: list[resnet18.Case]) -> None:
    """A row is begun, and breaks off at the first place where it can be resumed."""
    try:
        kept.add(resnet18.row(bed(folder, until=time.monotonic()), todo[0]))
    except resnet18.resume.OutOfTimeError:
        return
    kept.amend(lambda rows: resnet18.with_gaps(rows, refers=resnet18.alike))


def test_nets_learn_nine_tenths_and_a_tenth_of_that_is_forgotten(tmp_path: Path) -> None:
    here = bed(tmp_path)
    forget, retain, holdout = here.parts("samples:23")
    sets = here.sets("samples:23")

    assert len(here.trained) == 232
    assert len(forget) == 23
    assert torch.equal(torch.cat([forget, retain]).sort().values, here.trained)
    assert not torch.isin(here.held, here.trained).any()
    assert not torch.isin(sets.nonmembers, holdout).any()
    assert here.images.train[here.held].all()


@pytest.mark.parametrize("module", ["benchmarks.resnet18"])
def test_it_needs_nothing_of_the_service(module: str) -> None:
    script = f"import sys, {module}; print([m for m in {UNWANTED} if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=record.ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


UNWANTED = ("pydantic", "sqlalchemy", "celery", "fastapi", "models_store")
