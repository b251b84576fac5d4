"""All-CNN on CIFAR-10, forgotten over HTTP by a real worker: `make bench-cifar10`."""

import argparse
import time
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from pathlib import Path
from typing import Any

from benchmarks import measure, page, record
from benchmarks.measure import Images, Net, Sets
from benchmarks.service import House, opened

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NET = Net("all_cnn", {"width": 0.5}, mean=[0.5] * 3, std=[0.5] * 3)
RECIPE: dict[str, Any] = {
    "epochs": 25, "batch_size": 128, "learning_rate": 0.15, "momentum": 0.9,
    "weight_decay": 1e-4, "schedule": "one_cycle", "warmup": 0.25, "augment": "none",
}  # fmt: skip
"""How the checkpoints were trained."""
ALONE = {"retain_share": 0, "batchnorm": "frozen"}
PUBLISHED = ALONE | {"batchnorm": "train", "alone_rate": 1e-5, "epochs": 10, "batch_size": 64}
"""The settings of the Boundary Unlearning paper."""
CURVE = (1, 5)
"""Epochs of Boundary Expanding without retain images."""


@dataclass(frozen=True)
class Case:
    """One row: weights, and what is done to them."""

    name: str
    target: str
    method: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    weights: str = "original"

    @property
    def key(self) -> dict[str, Any]:
        """What the row is known by."""
        return {"name": self.name, "target": self.target}


CASES = [
    Case("original", "class:4"),
    Case("retrained", "class:4", weights="retrained_without_class4"),
    Case("boundary_expanding", "class:4", "boundary_expanding"),
    Case("boundary_shrink", "class:4", "boundary_shrink"),
    Case("l1_sparse", "class:4", "l1_sparse"),
    Case(page.ALONE, "class:4", "boundary_expanding", ALONE | {"epochs": 10}),
    Case("boundary_shrink_forget_only", "class:4", "boundary_shrink", ALONE),
    Case("original", "samples:500"),
    Case("retrained_without_random10", "samples:500", weights="retrained_without_random10"),
    Case("l1_sparse", "samples:500", "l1_sparse"),
    Case("boundary_expanding_published", "class:4", "boundary_expanding", PUBLISHED),
    Case("boundary_shrink_published", "class:4", "boundary_shrink", PUBLISHED),
    *(
        Case(f"{page.CURVE}{epochs}", "class:4", "boundary_expanding", ALONE | {"epochs": epochs})
        for epochs in CURVE
    ),
]


@dataclass(frozen=True)
class Bed:
    """What all rows are measured on."""

    images: Images
    models: Path
    """The folder of the checkpoints."""
    strangers: list[str]
    """Sample IDs that `retrained_without_random10` has never seen."""

    def sets(self, target: str) -> Sets:
        """The sets of a target."""
        kind, _, number = target.partition(":")
        if kind == "class":
            return measure.of_class(self.images, int(number))
        return measure.of_samples(self.images, self.strangers[: int(number)], self.strangers)

    def asked(self, target: str) -> dict[str, Any]:
        """The target as a forget request names it."""
        kind, _, number = target.partition(":")
        if kind == "class":
            return {"kind": "class", "label": int(number)}
        return {"kind": "samples", "sample_ids": self.strangers[: int(number)]}

    def trained_on(self, weights: str) -> dict[str, Any]:
        """What a checkpoint has seen."""
        if weights == "original":
            return {"splits": ["train"]}
        unseen = set(self.strangers)
        if weights == "retrained_without_class4":
            rows = measure.of_class(self.images, 4).forget.tolist()
            unseen = {self.images.ids[row] for row in rows}
        known = zip(self.images.ids, self.images.train.tolist(), strict=True)
        return {"sample_ids": [name for name, train in known if train and name not in unseen]}


def row(house: House, bed: Bed, sets: Sets, case: Case) -> dict[str, Any]:
    """Register, forget, download, measure: a model of its own for each row."""
    file = bed.models / f"{case.weights}.safetensors"
    house.register(case.name, NET, file, bed.trained_on(case.weights), RECIPE)
    facts: dict[str, Any] = {"seconds": None}
    if case.method:
        facts = house.forget(case.name, bed.asked(case.target), case.method, case.params)
    figures = measure.measured(NET, bed.images, sets, house.weights(case.name))
    return case.key | figures | facts


def run(data: Path, bed: Bed, kept: record.Record, todo: list[Case], until: float) -> None:
    """Measure row after row; none is begun after `until`, on the monotonic clock.

    Each target has a service of its own: what is forgotten for one leaves no later retain set.
    """
    for target, cases in groupby(todo, key=lambda case: case.target):
        if time.monotonic() > until:
            return
        sets = bed.sets(target)
        with opened(data) as house:
            house.bring_in(data / "cifar10", CLASSES)
            for case in cases:
                kept.add(new := row(house, bed, sets, case))
                print(new, flush=True)
                if time.monotonic() > until:
                    return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("models", type=Path, help="has all_cnn_cifar10/*.safetensors")
    parser.add_argument("--again", action="store_true", help="also rows that are there already")
    parser.add_argument("--only", help="names of rows, comma-separated")
    parser.add_argument("--step-seconds", type=float, default=inf, help="begin no row later")
    asked = parser.parse_args()
    settings = {**measure.SETTINGS, "net": vars(NET), "recipe": RECIPE}
    kept = record.Record(page.CIFAR, settings, ("name", "target"))
    named = [case for case in CASES if not asked.only or case.name in asked.only.split(",")]
    todo = [case for case in named if asked.again or not kept.has(case.key)]
    folder = asked.models / "all_cnn_cifar10"
    strangers = (folder / "forget_random10.txt").read_text().split()
    bed = Bed(measure.read(asked.data / "cifar10", CLASSES), folder, strangers)

    run(asked.data, bed, kept, todo, time.monotonic() + asked.step_seconds)
    page.publish()
    left = [case.name for case in named if not kept.has(case.key)]
    print(f"Run it again for the rows {', '.join(left)}." if left else "All rows are there.")


if __name__ == "__main__":
    main()
