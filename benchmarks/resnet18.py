"""The setting of Unlearn-Sparse, ResNet-18 on 45,000 images: `python -m benchmarks.resnet18 DATA`.

For a GPU. Unattended, `--step-seconds N`: every training and every method goes on where it stopped. It
needs torch, torchvision, numpy, scipy, scikit-learn, pyarrow, pillow, psutil, safetensors and
annotated-types, and nothing of the service.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from math import inf
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import comparison, measure, record, resume, trial
from benchmarks.gaps import with_gaps
from benchmarks.measure import Images, Sets, by_hash
from benchmarks.setting import PAPER, Setting
from benchmarks.trial import Row
from workers.kinds import Given
from workers.stages import inside, part
from workers.training import fit

RESULTS = record.RESULTS / "resnet18_cifar10.json"
DATA = "cifar10_45000"
SPARSE = "_sparse95"
"""After the name of a row whose net was pruned."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row."""

    method: str | None
    target: str
    sparse: bool
    seed: int

    @property
    def key(self) -> Row:
        """What it is known by."""
        name = (self.method or "original") + SPARSE * self.sparse
        return {"name": name, "target": self.target, "data": DATA, "seed": self.seed}


@dataclass(frozen=True)
class Bed:
    """Images, the setting, and where trained nets lie."""

    images: Images
    setting: Setting
    cache: Path
    until: float = inf
    """On the monotonic clock."""

    def cases(self, seeds: int) -> Iterator[Case]:
        """All rows: one seed after the other, dense before sparse."""
        targets = (f"class:{self.setting.label}", f"samples:{len(self.drawn)}")
        for seed in range(seeds):
            for sparse in (False, True):
                for target in targets:
                    first = () if seed else (None,)
                    for method in (*first, *self.setting.methods):
                        yield Case(method=method, target=target, sparse=sparse, seed=seed)

    @cached_property
    def trained(self) -> Tensor:
        """(n,) rows that nets learn: of each class all but the share with the lowest hashes."""
        labels, kept = self.images.labels, []
        for label in labels.unique():
            rows = by_hash(
                self.images,
                (self.images.train & (labels == label)).nonzero().flatten(),
                "held out ",
            )
            kept.append(rows[round(self.setting.share * len(rows)) :])
        return torch.cat(kept).sort().values

    @cached_property
    def drawn(self) -> Tensor:
        """(m,) rows that are forgotten at random."""
        rows = by_hash(self.images, self.trained, "forget ")
        return rows[: round(self.setting.share * len(rows))].sort().values

    def parts(self, target: str) -> tuple[Tensor, Tensor, Tensor]:
        """To forget, to retain, and every other held-out row for methods to look at."""
        of_class = target.startswith("class:")
        mine = self.images.labels[self.trained] == self.setting.label
        forget = self.trained[mine] if of_class else self.drawn
        return forget, self.trained[~torch.isin(self.trained, forget)], self.held[::2]

    @cached_property
    def held(self) -> Tensor:
        """Training images that no net learns."""
        train = self.images.train.nonzero().flatten()
        return train[~torch.isin(train, self.trained)]

    def sets(self, target: str) -> Sets:
        """What is measured; members are held against held-out images that no method looks at."""
        forget, _, _ = self.parts(target)
        seen = torch.zeros_like(self.images.train)
        seen[self.trained] = True
        if target.startswith("class:"):
            found = measure.of_class(self.images, self.setting.label, seen)
        else:
            ids = [self.images.ids[row] for row in forget.tolist()]
            found = measure.of_samples(self.images, ids, ids, seen)
        others, labels = self.held[1::2], self.images.labels
        return replace(found, nonmembers=others[torch.isin(labels[others], labels[forget])])

    def run(self, name: str) -> resume.Run:
        """A run of this name."""
        return resume.Run(self.cache / f"resnet18_{name}.run", self.until)

    def original(self) -> nn.Module:
        """The dense net on all that is trained on. Raises `OutOfTimeError`."""
        model, run = self.setting.fresh(0), self.run("original")
        place = run.path.with_suffix(".trained")
        kept = resume.found(place)
        if kept is None:
            chance = torch.Generator().manual_seed(0)
            samples = self.images.at(self.trained)
            run.carry_out(fit(model, samples, self.setting.recipe, rng=chance, resume=run.state))
            kept = inside("net", {**model.state_dict()})
            resume.keep(place, kept)
        model.load_state_dict(part(kept, "net") or {})
        return model

    def given(self, case: Case) -> Given:
        """What a method may look at."""
        rows = self.parts(case.target)
        setting = self.setting
        return trial.given(self.images, rows, setting.fresh, setting.recipe, case.seed)


def row(bed: Bed, case: Case) -> Row:
    """Make the net and measure it. Raises `OutOfTimeError`."""
    facts: Row = {**case.key, "method": case.method, "prune": None} | dict.fromkeys(trial.FIGURES)
    base = bed.original()
    if case.sparse:
        # The pruner learns what every net learns: the same sparse net for all rows.
        asked = bed.given(replace(case, seed=0))
        base, facts["prune_seconds"] = trial.pruned(
            bed.setting.pruner, base, asked, bed.run("sparse")
        )
        facts["prune"] = asdict(bed.setting.pruner)
    model = base
    if case.method is not None:
        method, run = (
            bed.setting.methods[case.method],
            bed.run("_".join(map(str, case.key.values()))),
        )
        model, took = trial.unlearned(method, base, bed.given(case), run, sparse=case.sparse)
        facts |= took
    figures = measure.compared(model, bed.images, bed.sets(case.target))
    return facts | figures | {"sparsity": trial.zeros(model)}


def alike(reference: Row, row: Row) -> bool:
    """Retrained nets of the same sparsity, as the paper compares."""
    same = all(reference[key] == row[key] for key in ("target", "prune"))
    return same and bool(reference["method"] == "retrain")


def go(bed: Bed, kept: record.Record, todo: list[Case]) -> None:
    """Row after row, until time is up."""
    trial.in_turn(
        kept,
        (partial(row, bed, case) for case in todo),
        bed.until,
        partial(with_gaps, refers=alike),
    )


def main() -> None:
    """Read the command line, and measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--step-seconds", type=float, default=inf, help="stop then; go on later")
    parser.add_argument("--cache", type=Path, default=record.ROOT / "benchmarks" / "cache")
    asked = parser.parse_args()
    until = time.monotonic() + asked.step_seconds
    bed = Bed(measure.read(asked.data / "cifar10", measure.CIFAR10), PAPER, asked.cache, until)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    settings = {**measure.SETTINGS, "recipe": asdict(PAPER.recipe), "device": device}
    kept = record.Record(RESULTS, settings, ("name", "target", "data", "seed"))
    every = list(bed.cases(asked.seeds))
    go(bed, kept, [case for case in every if not kept.knows(case.key)])
    if (compared := record.RESULTS / "methods_cifar10.json").exists():
        comparison.publish(compared)
    left = sum(not kept.knows(case.key) for case in every)
    print(f"Run it again for {left} rows." if left else "All rows are there.")


if __name__ == "__main__":
    main()
