"""Every method beside retrained models, on CIFAR-10 and its slice: `make bench-methods`."""

import argparse
import time
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import comparison, measure, nets, record, resume, trial
from benchmarks import slice as sliced
from benchmarks.cases import BENCH, FULL, SLICE, Case, cases
from benchmarks.cifar10 import CLASSES, NET, RECIPE
from benchmarks.gaps import REFERENCE, with_gaps
from benchmarks.measure import Images, Sets
from benchmarks.slice import CACHE, Slice
from benchmarks.trial import Row
from models_store.life import Goal
from workers import memory, methods, pruning, recipes, shelf
from workers.batches import Feed
from workers.kinds import Given, Method, Recipe
from workers.methods.amnesiac import Amnesiac
from workers.sparsity import Pruner

DATASETS = {SLICE: "cifar10_slice", FULL: "cifar10"}
"""Their names in the recipe files."""


@dataclass(frozen=True)
class Bed:
    """What all rows are measured on, and where nets lie that took long to make."""

    images: Images
    slice: Slice
    models: Path
    cache: Path
    until: float = inf
    """On the monotonic clock: a run that has not ended by then is gone on with later."""

    def rows(self, case: Case) -> tuple[Tensor, Tensor, Tensor]:
        """To forget, to retain, held out."""
        if case.data == SLICE:
            of = self.slice
            return of.forget(case.target), of.retain(case.target), of.holdout()
        mine = self.images.labels == int(case.target.partition(":")[2])
        forget, retain = ((self.images.train & part).nonzero().flatten() for part in (mine, ~mine))
        return forget, retain, retain[:0]

    def sets(self, case: Case) -> Sets:
        """What is measured."""
        if case.data == SLICE:
            return self.slice.sets(case.target)
        return measure.of_class(self.images, int(case.target.partition(":")[2]))

    def given(self, case: Case) -> Given:
        """What the method may look at."""
        fresh = partial(nets.built, NET, self.images)
        return trial.given(self.images, self.rows(case), fresh, Recipe(**RECIPE), case.seed)

    def run(self, name: str) -> resume.Run:
        """A run of this name."""
        return resume.Run(self.cache / f"{name}.run", self.until)

    def loaded(self, case: Case) -> nn.Module:
        """Weights that are there, or that take a whole training: the original, retrained nets."""
        if case.name == "untrained":
            return nets.built(NET, self.images, case.seed)
        folder = self.models / ("all_cnn_slice" if case.data == SLICE else "all_cnn_cifar10")
        if case.name != REFERENCE:
            return nets.loaded(NET, self.images, folder / "original.safetensors")
        without = case.target.replace(":", "")
        name = f"retrained_without_{without}"
        seeded = f"{name}_seed{case.seed}" if case.data == SLICE else name
        file = folder / f"{seeded}.safetensors"
        if file.exists():
            return nets.loaded(NET, self.images, file)
        run = self.run(f"without_{without}_seed{case.seed}")
        retain = self.rows(case)[1]
        return sliced.trained(NET, self.images, retain, RECIPE, case.seed, run)


def row(bed: Bed, case: Case) -> Row:
    """Make the net and measure it. Raises `OutOfTimeError`."""
    facts: Row = case.said | dict.fromkeys(trial.FIGURES)
    base = bed.loaded(case)
    if case.prune is not None:
        base, facts["prune_seconds"] = pruned(bed, case, base)
    model = base
    if case.method is not None:
        method = made(case)
        try:
            model, took = unlearned(bed, case, method, base)
        except ValueError as refusal:
            return facts | {"refused": str(refusal)}
        facts |= took
    figures = measure.compared(model, bed.images, bed.sets(case))
    return facts | figures | {"sparsity": trial.zeros(model)}


def made(case: Case) -> Method:
    """A method with the parameters of the house for such a model, but for `BENCH` and the case."""
    name, goal = case.method or "", Goal(case.target.partition(":")[0])
    tuned = recipes.params(DATASETS[case.data], NET.architecture, NET.parameters, goal, name)
    mine = tuned | BENCH.get(name, {}) | case.params
    return shelf.make(shelf.take(methods, Method, name), mine)


def pruned(bed: Bed, case: Case, base: nn.Module) -> tuple[nn.Module, float]:
    """The sparse net, shared by all rows with the same pruner: it learns all training images."""
    assert case.prune is not None
    params = {**case.prune.params, "sparsity": case.prune.sparsity}
    pruner = shelf.make(shelf.take(pruning, Pruner, case.prune.method), params)
    run = bed.run(f"{case.data}_{case.prune.tag}_seed{case.seed}")
    return trial.pruned(pruner, base, bed.given(case), run)


def unlearned(bed: Bed, case: Case, method: Method, base: nn.Module) -> tuple[nn.Module, Row]:
    """Run the method. Raises `ValueError` where it refuses."""
    asked = bed.given(case)
    if isinstance(method, Amnesiac):
        asked = replace(asked, updates=log(bed, case))
    run = bed.run("_".join(map(str, case.key.values())).replace(":", ""))
    return trial.unlearned(method, base, asked, run, sparse=case.prune is not None)


def log(bed: Bed, case: Case) -> dict[str, Tensor]:
    """Which images each update of the training saw, without what it changed: by recipe and seed."""
    forget, retain, _ = bed.rows(case)
    rows = torch.cat([forget, retain]).sort().values
    feed, recipe = Feed(main=bed.images.at(rows)), Recipe(**RECIPE)
    walk = feed.walk(recipe, torch.Generator().manual_seed(0))
    return {f"rows.{place.done}": rows[batch.which.cpu()] for place, batch in walk}


def settings() -> Row:
    """What the figures hang on beside the weights."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        **measure.SETTINGS,
        "net": vars(NET),
        "recipe": RECIPE,
        "device": device,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Read the command line, and measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("models", type=Path, help="has all_cnn_slice/ and all_cnn_cifar10/")
    parser.add_argument("--again", action="store_true", help="also rows that are there already")
    parser.add_argument("--only", help="names of rows, comma-separated")
    parser.add_argument("--step-seconds", type=float, default=inf, help="stop then; go on later")
    parser.add_argument("--cache", type=Path, default=CACHE, help="for nets that rows share")
    asked = parser.parse_args()
    memory.keep()  # as a worker does
    until = time.monotonic() + asked.step_seconds
    on_gpu = torch.cuda.is_available()
    name = "methods_cifar10_gpu.json" if on_gpu else "methods_cifar10.json"
    kept = record.Record(record.RESULTS / name, settings(), ("name", "target", "data", "seed"))
    every = cases(range(3 if on_gpu else 1))
    named = [case for case in every if not asked.only or case.name in asked.only.split(",")]
    todo = [case for case in named if asked.again or not kept.knows(case.key)]
    images = measure.read(asked.data / "cifar10", CLASSES)
    where = sliced.opened(images, asked.models / "all_cnn_slice")
    run(Bed(images, where, asked.models, asked.cache, until), kept, todo)
    comparison.publish(kept.path)
    left = [f"{case.name} ({case.target})" for case in named if not kept.knows(case.key)]
    print(f"Run it again for the rows {', '.join(left)}." if left else "All rows are there.")


def run(bed: Bed, kept: record.Record, todo: list[Case]) -> None:
    """Row after row, until time is up."""
    trial.in_turn(kept, (partial(row, bed, case) for case in todo), bed.until, with_gaps)


if __name__ == "__main__":
    main()
