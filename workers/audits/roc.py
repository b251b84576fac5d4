"""How many forgotten images does an attacker find who may accuse only few others?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Lt
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.signals import comparable, margin, rows
from workers.statistics import Floats, proportion, true_positives

LOWEST = -4
"""Power of ten at which the drawn curve begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roc(Audit):
    """The whole curve of the logit-margin attack, for a picture on logarithmic axes; it only reports.

    The attack is that of `membership`, with one threshold for all classes. At each rate of false
    accusations the strict rate of true ones is kept, with its exact interval; nothing is
    interpolated. The estimate is the rate at the smallest share of accused that is looked at,
    where there are enough never-trained images to see it (ten false accusations).

    Source: Carlini et al., "LiRA", S&P 2022, section IV (low false-positive rates, logarithmic
    axes); intervals after Clopper and Pearson, Biometrika 26 (1934).
    """

    compares: ClassVar[tuple[str, ...]] = ("roc",)
    fpr: Annotated[float, Gt(0), Lt(1)] = 0.001
    """Share of never-trained images that the attack may accuse, for the estimate."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for a baseline."""
        if evidence.goal == "none":
            return []
        ours, others = comparable(evidence, rows(evidence, "forget"))
        if not len(ours):
            reason = "No forgotten image has a never-trained image of its class beside it."
            return [Finding(test="roc", estimate=None, unit="share", reason=reason)]
        known, now = (self._at(s, ours, others) for s in (evidence.before, evidence.after))
        n, seen = len(others), len(others) >= 10 / self.fpr
        reason = (
            "" if seen else f"{n} never-trained images do not resolve a rate of {self.fpr:.1%}."
        )
        return [
            Finding(
                test="roc",
                estimate=now[0] if seen else None,
                low=now[1] if seen else None,
                high=now[2] if seen else None,
                n=len(ours),
                before=known[0] if seen else None,
                unit="share",
                reason=reason,
                details=_curves(evidence, ours, others),
            )
        ]

    def _at(self, scores: Scores, ours: Tensor, others: Tensor) -> Sequence[float]:
        found = true_positives(margin(scores.of(ours)), margin(scores.of(others)), self.fpr)
        return found.rate


def _curves(evidence: Evidence, ours: Tensor, others: Tensor) -> dict[str, Any]:
    grid = np.logspace(LOWEST, 0, 8 * -LOWEST + 1)
    retrained = [_found(retrain.scores, ours, others, grid) for retrain in evidence.retrains]
    after = _found(evidence.after, ours, others, grid)
    bounds = [proportion(found, len(ours)) for found in after]
    return {
        "fpr": [float(rate) for rate in grid],
        "before": [found / len(ours) for found in _found(evidence.before, ours, others, grid)],
        "after": [found / len(ours) for found in after],
        "low": [bound.low for bound in bounds],
        "high": [bound.high for bound in bounds],
        "retrained": [[found / len(ours) for found in each] for each in retrained],
        "nonmembers": len(others),
        "resolved": 10 / len(others),
    }


def _found(scores: Scores, ours: Tensor, others: Tensor, grid: Floats) -> list[int]:
    """How many of ours lie strictly above each threshold that accuses at most a share of others."""
    theirs = np.sort(margin(scores.of(others)))[::-1]
    mine = np.sort(margin(scores.of(ours)))
    allowed = [min(int(rate * len(theirs) + 1e-9), len(theirs) - 1) for rate in grid]
    everyone = [rate >= 1 for rate in grid]
    above = len(mine) - np.searchsorted(mine, theirs[allowed], side="right")
    return [len(mine) if all_ else int(n) for n, all_ in zip(above, everyone, strict=True)]
