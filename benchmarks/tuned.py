"""Parameters for the slice, found by the search of `lethe tune`: `python -m benchmarks.tuned`.

Each try is a row of `results/tuned_slice.json`, so that a run that was broken off goes on; methods
whose tries are all there enter `workers/recipes/cifar10_slice_all_cnn.toml`.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks import measure, nets, record, trial, tried
from benchmarks import slice as sliced
from benchmarks.cases import DENSE, SLICE
from benchmarks.cifar10 import CLASSES, NET, RECIPE
from benchmarks.methods import DATASETS
from benchmarks.record import Row
from benchmarks.slice import Slice
from models_store.life import Goal
from models_store.recipe_files import RecipeFile, Tuned, dump
from workers import memory, methods, rehearsal, shelf, tuning
from workers.kinds import Given, Method, Recipe
from workers.rehearsal import Figures, Rehearsal

REHEARSED: dict[Goal, dict[str, int]] = {Goal.CLASS: {"label": 7}, Goal.SAMPLES: {"size": 500}}
"""Not what the comparison forgets."""
LOGGED = "amnesiac"
"""Wants a log of the training; the slice's checkpoint has none."""
ABOUT = (
    "10,000 training images of CIFAR-10 (1,000 of each class, by the SHA-256 of their ID), All-CNN at "
    "half width, trained for 25 epochs in batches of 128 at a peak rate of 0.15. A class (7), and 500 "
    "samples drawn by seed 0, were rehearsed at half the epochs in each method's space, with a hold-out "
    "of 200 images of each class and without retrained nets; gap_of_defaults is that of the method's own "
    "defaults, gap_untouched that of the net as it was. Every try is in benchmarks/results/tuned_slice.json."
)


@dataclass(frozen=True)
class Stage:
    """One goal, rehearsed."""

    goal: Goal
    rehearsed: Rehearsal
    base: nn.Module
    wanted: Figures
    asked: Given

    def untouched(self) -> float:
        """The gap of the net as it was."""
        return rehearsal.gap(rehearsal.figures(self.base, self.rehearsed), self.wanted)

    def tried(self, name: str, params: dict[str, Any]) -> Row:
        """One try, as a row."""
        asked = rehearsal.given(self.asked, self.rehearsed)
        kind = shelf.take(methods, Method, name)
        found = tuning.trial(
            kind, params, self.base, self.rehearsed, self.wanted, asked, tuning.exhausted
        )
        return self.key(name, params) | {
            "figures": {part: round(value, 4) for part, value in found.figures.items()},
            "gap": round(found.gap, 4),
            "seconds": round(found.seconds, 1),
        }

    def key(self, name: str, params: dict[str, Any]) -> Row:
        """What a try is known by."""
        return {"goal": self.goal.value, "method": name, "params": params}


def stage(goal: Goal, images: measure.Images, of: Slice, base: nn.Module) -> Stage:
    """Draw what is rehearsed."""
    train, unseen = images.at(of.rows), images.at(of.holdout())
    rehearsed = rehearsal.rehearsal(train, unseen, **REHEARSED[goal])
    rows = (of.rows, of.rows, of.holdout())
    asked = trial.given(images, rows, partial(nets.built, NET, images), Recipe(**RECIPE), seed=0)
    return Stage(goal, rehearsed, base, rehearsal.target(base, rehearsed), asked)


def candidates(name: str) -> list[dict[str, Any]]:
    """What is tried of a method."""
    return tuning.candidates(shelf.take(methods, Method, name))


def found(stages: list[Stage], kept: record.Record) -> Iterator[tuple[Goal, str, Tuned]]:
    """The best try of each method that has had all of them."""
    for at in stages:
        untouched = round(at.untouched(), 4)
        for name in DENSE:
            keys = [at.key(name, params) for params in candidates(name)] if name != LOGGED else []
            tries = [row for key in keys for row in kept.rows if key.items() <= row.items()]
            if not keys or len(tries) < len(keys):
                continue
            best = tries[tuning.best([row["figures"] for row in tries], at.wanted)]
            how = REHEARSED[at.goal] | {
                "tries": len(tries),
                "gap": best["gap"],
                "gap_of_defaults": tries[0]["gap"],
                "gap_untouched": untouched,
                "date": best["measured_at"][:10],
                "commit": best["commit"][:7],
            }
            yield at.goal, name, Tuned(params=best["params"], found=how)


def main() -> None:
    """Try what has not been tried, then write the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("models", type=Path, help="has all_cnn_slice/")
    parser.add_argument("--methods", default=",".join(DENSE), help="names, comma-separated")
    parser.add_argument("--goals", default="class,samples", help="comma-separated")
    parser.add_argument("--step-seconds", type=float, default=inf, help="begin no try later")
    asked = parser.parse_args()
    memory.keep()  # as a worker does
    until = time.monotonic() + asked.step_seconds
    images = measure.read(asked.data / "cifar10", CLASSES)
    of = sliced.opened(images, asked.models / "all_cnn_slice")
    base = nets.loaded(NET, images, asked.models / "all_cnn_slice" / "original.safetensors")
    settings = {"rehearsed": {goal.value: what for goal, what in REHEARSED.items()}}
    kept = record.Record(tried.FOUND, settings, ("goal", "method", "params"))
    stages = [stage(goal, images, of, base) for goal in Goal]
    for at in (at for at in stages if at.goal.value in asked.goals.split(",")):
        for name in asked.methods.split(","):
            for params in candidates(name) if name != LOGGED else []:
                if time.monotonic() < until and not kept.knows(at.key(name, params)):
                    kept.add(at.tried(name, params))
                    print(kept.rows[-1], flush=True)
    tuned: dict[Goal, dict[str, Tuned]] = {goal: {} for goal in Goal}
    for goal, name, best in found(stages, kept):
        tuned[goal][name] = best
    recipe = RecipeFile(
        dataset=DATASETS[SLICE],
        architecture=NET.architecture,
        parameters=NET.parameters,
        about=ABOUT,
        tuned=tuned,
    )
    record.write(tried.RECIPE, dump(recipe))


if __name__ == "__main__":
    main()
