"""The passes of an audit: each state of a model reads each image at most once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workers import scoring
from workers.evidence import Evidence, Scores
from workers.kinds import Samples
from workers.scoring import Plan


def read(
    before: nn.Module,
    after: nn.Module,
    everything: Samples,
    plan: Plan,
    *,
    classes: int,
    goal: str,
    forgotten_classes: Sequence[int],
    requested: Tensor,
    removed: Tensor,
    known_before: Scores | None = None,
    known_after: Scores | None = None,
    precision: str = "bf16",
) -> Evidence:
    """What the models say of the rows of a plan; nothing of references, neighbours or the run.

    For a baseline `before` and `after` are one and read together. A version that forgot is also
    read with its BatchNorm statistics estimated anew, on `plan.again`.

    Args:
        everything: all rows of the dataset; a row is its own position.
        requested, removed: (m,) int64, as in `Evidence`.
        known_before, known_after: scores of the same weights for any rows; those are not read again.
    """
    rows = everything.take(plan.rows)
    seen = scoring.score(before, rows, known=known_before, precision=precision)
    found = seen
    if after is not before:
        found = scoring.score(after, rows, known=known_after, precision=precision)
    fresh = goal != "none" and len(plan.again) > 0
    return Evidence(
        before=seen,
        after=found,
        recalibrated=_recalibrated(after, everything, plan, precision) if fresh else None,
        parts=plan.parts,
        classes=classes,
        goal=goal,
        forgotten_classes=forgotten_classes,
        model_before=before,
        model_after=after,
        requested=requested,
        removed=removed,
        samples=everything,
        rng=torch.Generator().manual_seed(0),
    )


def _recalibrated(
    model: nn.Module, everything: Samples, plan: Plan, precision: str
) -> Scores | None:
    retain = everything.take(plan.parts["recalibration"])
    twin = scoring.recalibrated(model, retain, precision=precision)
    if twin is None:
        return None
    return scoring.score(twin, everything.take(plan.again), precision=precision)
