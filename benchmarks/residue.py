"""How much must be left of a forget set before the audit sees it: retrained nets with a residue.

On the small made world of the audit's own test-bench, where a training takes seconds.
"""

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn

from benchmarks import synthetic
from benchmarks.record import Row
from benchmarks.synthetic import GONE, TRAINED
from workers.evidence import Evidence, Verdict
from workers.verdicts import judge

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5)
"""Of the forget set, left in the training data."""
SEEDS = range(1000, 1010)
"""Far from those of the test-bench, on which thresholds were chosen."""
BESIDE = range(2000, 2005)
"""Models retrained without the class, which set the bands."""
KEY = ("kind", "share", "seed")


def jobs() -> list[tuple[Row, Callable[[], Row]]]:
    """A row for each kind of request, share and seed."""
    keys = [
        (kind, share, seed) for kind in ("samples", "class") for share in SHARES for seed in SEEDS
    ]
    return [(dict(zip(KEY, key, strict=True)), partial(measured, *key)) for key in keys]


def measured(kind: str, share: float, seed: int) -> Row:
    """Retrain with a part of the forget set left in, and put the net before the audit."""
    forget = synthetic.some(seed) if kind == "samples" else _of_class()
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(forget), generator=chance)
    gone = forget[order[round(share * len(forget)) :]]
    model = synthetic.world().without(gone, seed)
    judgement = judge(_evidence(kind, model, forget), tier=1)
    found = {finding.test: finding for finding in judgement.findings}
    return {
        "forgotten": len(forget),
        "left_in": len(forget) - len(gone),
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "failed": [test for test, each in found.items() if each.verdict is Verdict.FAIL],
        "rmia_auc": found["rmia.auc"].estimate,
    }


def _evidence(kind: str, model: nn.Module, forget: Tensor) -> Evidence:
    world = synthetic.world()
    if kind == "samples":
        return synthetic.evidence(world, model, forget)
    beside = [_retrained(seed) for seed in BESIDE]
    return synthetic.evidence(world, model, forget, classes=[GONE], retrains=beside)


@cache
def _retrained(seed: int) -> nn.Module:
    return synthetic.world().without(_of_class(), seed)


def _of_class() -> Tensor:
    rows = torch.arange(TRAINED)
    return rows[synthetic.world().labels[rows] == GONE]
