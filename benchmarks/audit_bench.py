"""The audit before models of which the truth is known, on real images: `make bench-audit`."""

import argparse
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from benchmarks import audit_cost, cheats, measure, nets, page, record, residue
from benchmarks.cifar10 import CLASSES, NET, RECIPE
from benchmarks.pool import BESIDE, HALVES, RETRAINED, Pooled, TooLate
from benchmarks.record import Row
from benchmarks.worlds import NOBODY, PRECISION, World, unlearned
from workers import verdicts
from workers.evidence import Control, Evidence, Finding, Judgement

CACHE = record.ROOT / "benchmarks" / "cache"
SEED = 1
TARGETS = ("class:4", "samples:500")
METHODS = ("random_labels", "boundary_expanding", "boundary_shrink", "l1_sparse")
CHEATS = cheats.CLASS_ONLY | cheats.ALWAYS
SETTINGS = {
    "net": vars(NET),
    "recipe": RECIPE,
    "halves": HALVES,
    "retrains": list(BESIDE),
    "precision": PRECISION,
    "samples": 'smallest SHA-256 of "forget " and the sample ID',
    "left_out": "a mask or a deleted row hides a class; for samples there is no such thing",
}
"""What the rows hang on beside the code."""


class Table(NamedTuple):
    """A table of the result file."""

    name: str
    known_by: tuple[str, ...]
    jobs: Sequence[tuple[Row, Callable[[], Row]]]
    """Keys of rows, and what measures each."""


@dataclass(frozen=True)
class Case:
    """One row: a model under audit, and what it should have forgotten."""

    model: str
    target: str
    tier: int = 1
    data: str = "slice"

    @property
    def key(self) -> dict[str, Any]:
        """What the row is known by."""
        return {name: getattr(self, name) for name in KEY}


FULL_SIZE = {"original": "original", "retrained": "retrained_without_class4"}
KEY = ("data", "model", "target", "tier")
CASES = [
    *(
        Case(model, target)
        for target in TARGETS
        for model in ("original", "retrained", *CHEATS, *METHODS)
        if target.startswith("class") or model not in cheats.CLASS_ONLY
    ),
    Case("original", "class:4", tier=0, data="cifar10"),
    Case("retrained", "class:4", tier=0, data="cifar10"),
]
"""The full-size checkpoints have neither a hold-out nor a pool, so tier 0 is all there is."""


@dataclass(frozen=True)
class Bed:
    """What the rows are measured on; loaded when it is first asked for."""

    data: Path
    models: Path
    cache: Path
    until: float = inf
    """On the monotonic clock: nothing is built later."""

    @cached_property
    def whole(self) -> World:
        """All training images were trained on; the test split stands in for a hold-out."""
        images = measure.read(self.data / "cifar10", CLASSES)
        return World(images, images.train.nonzero().flatten(), NOBODY)

    @cached_property
    def part(self) -> Pooled:
        """The slice, its models and its pool."""
        models = self.models / "all_cnn_slice"
        return Pooled.opened(self.whole.images, models, self.cache, self.until)

    def checkpoint(self, name: str) -> nn.Module:
        """One that was trained on all images."""
        file = self.models / "all_cnn_cifar10" / f"{name}.safetensors"
        return nets.loaded(NET, self.whole.images, file)

    def evidence(self, case: Case) -> tuple[Evidence, dict[str, Any]]:
        """What the audit sees, and what was done to the model."""
        if case.data == "slice":
            model, facts = self._made(case)
            return self.part.evidence(model, self.part.world.forget(case.target)), facts
        before, after = map(self.checkpoint, ("original", FULL_SIZE[case.model]))
        forget = self.whole.forget(case.target)
        return self.whole.read(before, after, forget, plan=self.whole.plan(forget)), {}

    def _made(self, case: Case) -> tuple[nn.Module, dict[str, Any]]:
        part = self.part
        original = part.net(part.models / "original.safetensors")
        if case.model == "original":
            return original, {}
        if case.model == "retrained":
            of_class = part.models / f"{RETRAINED}1.safetensors"
            return part.net(of_class if case.target == "class:4" else part.without(case.target)), {}
        if case.model in METHODS:
            return unlearned(original, case.model, part.world, case.target, SEED)
        given = part.world.given(part.world.forget(case.target), SEED)
        return CHEATS[case.model](original, given), {"seed": SEED}


# ---- a judgement as a row ------------------------------------------------------------------------


def row(bed: Bed, case: Case) -> Row:
    """Make the model, audit it, and say all that was found."""
    evidence, facts = bed.evidence(case)
    judgement = verdicts.judge(evidence, tier=case.tier)
    return case.key | told(judgement) | {name: rounded(fact) for name, fact in facts.items()}


def told(judgement: Judgement) -> Row:
    """A judgement in JSON: gates and figures, without the details of its findings."""
    findings = [
        found
        for found in judgement.findings
        if found.verdict is not None or found.estimate is not None
    ]
    return {
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "tiers": {str(tier): verdict.value for tier, verdict in judgement.tiers.items()},
        "tests": {found.test: _found(found) for found in findings},
        "controls": {
            control.name: {"test": control.test, "as_expected": control.as_expected}
            | _found(control)
            for control in judgement.controls
        },
    }


def _found(found: Finding | Control) -> Row:
    """What is known of it; a test without a verdict only reports."""
    interval = None if found.low is None else [rounded(found.low), rounded(found.high)]
    more = {}
    if isinstance(found, Finding):
        more = {name: rounded(getattr(found, name)) for name in ("before", "p_value", "power")}
    known = {"reason": found.reason or None, "interval": interval, "n": found.n, **more}
    return {
        "verdict": found.verdict.value if found.verdict else None,
        "value": rounded(found.estimate),
        **{name: fact for name, fact in known.items() if fact is not None},
    }


def rounded(value: Any) -> Any:
    """Six significant digits, null for what is no number; all else as it is."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


# ---- the run -------------------------------------------------------------------------------------


def tables(bed: Bed) -> Iterator[Table]:
    """All that is measured."""
    yield Table("rows", KEY, [(case.key, partial(row, bed, case)) for case in CASES])
    yield Table("residue", residue.KEY, residue.jobs())
    yield Table("cost", audit_cost.KEY, audit_cost.jobs(lambda: bed.whole, bed.checkpoint))


def run(
    file: Path, tables: Iterable[Table], named: Sequence[str], until: float, *, again: bool
) -> int:
    """Measure row after row; how many are left when none may begin any more.

    Args:
        named: tables, or what stands in keys of rows; all if there are none.
        until: no row is begun later, on the monotonic clock.
        again: also those that are in the file already.
    """
    left = 0
    for table in tables:
        kept = record.Record(file, SETTINGS, table.known_by, table.name)
        for key, measured in table.jobs:
            asked = not named or {table.name, *map(str, key.values())} & set(named)
            if not asked or (kept.has(key) and not again):
                continue
            try:
                new = None if time.monotonic() > until else key | measured()
            except TooLate:
                new = None
            if new is None:
                left += 1
                continue
            kept.add(new)
            print({name: new.get(name) for name in (*key, "verdict", "reason")}, flush=True)
    return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("models", type=Path, help="has all_cnn_slice/ and all_cnn_cifar10/")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where built models are kept")
    parser.add_argument("--again", action="store_true", help="also rows that are there already")
    parser.add_argument("--only", help="models, targets, data or tables, comma-separated")
    parser.add_argument("--step-seconds", type=float, default=inf, help="begin no row later")
    asked = parser.parse_args()
    until = time.monotonic() + asked.step_seconds
    bed = Bed(asked.data, asked.models, asked.cache, until)
    named = asked.only.split(",") if asked.only else []
    left = run(page.AUDIT, tables(bed), named, until, again=asked.again)
    page.publish()
    print(f"Run it again for {left} more rows." if left else "All rows are there.")


if __name__ == "__main__":
    main()
