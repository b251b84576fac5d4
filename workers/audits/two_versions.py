"""What can somebody tell who holds both versions?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.people import Pair, area, whose
from workers.signals import comparable, margin, probabilities, rows
from workers.statistics import Floats


def moved(before: Scores, after: Scores) -> Floats:
    """How far the margin moved: (n,), in nats."""
    return np.abs(margin(after) - margin(before))


def diverged(before: Scores, after: Scores) -> Floats:
    """The Jensen-Shannon divergence of the two outputs: (n,), in nats."""
    p, q = (np.maximum(probabilities(scores), 1e-300) for scores in (before, after))
    middle = (p + q) / 2
    found: Floats = (p * np.log(p / middle) + q * np.log(q / middle)).sum(1) / 2
    return found


CHANGES: Mapping[str, Callable[[Scores, Scores], Floats]] = {"margin": moved, "outputs": diverged}
SIDES = {"unseen": "nonmembers", "retained": "retain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoVersions(Audit):
    """The attack of one who kept the version before: what changed most was forgotten. It reports.

    By how much the margin moved, and the outputs diverged: forgotten images against never-trained
    ones (`unseen`), and against those that stay (`retained`), of the same classes. High values
    say who asked to be forgotten, to anyone who holds both versions; erase old versions, and do
    not hand them out. A retrained model shows this too, so it is no gate.

    Source: Chen et al., "When Machine Unlearning Jeopardizes Privacy", CCS 2021.
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[tuple[str, ...]] = tuple(
        f"two_versions.{change}_unseen" for change in CHANGES
    )

    def ask(self, evidence: Evidence) -> list[Finding]:
        """Four findings; none for a baseline."""
        if evidence.goal == "none":
            return []
        return [
            _told(f"two_versions.{change}_{side}", evidence, rows(evidence, part), CHANGES[change])
            for change in CHANGES
            for side, part in SIDES.items()
        ]


def _told(
    test: str, evidence: Evidence, others: Tensor, change: Callable[[Scores, Scores], Floats]
) -> Finding:
    beside = replace(evidence, parts={**evidence.parts, "nonmembers": others})
    ours, theirs = comparable(beside, rows(evidence, "forget"))
    if not len(ours):
        reason = "There are no images of the same classes to compare with."
        return Finding(test=test, estimate=None, reason=reason)
    (mine, own), (yours, their) = (
        (change(evidence.before.of(chosen), evidence.after.of(chosen)), evidence.after.of(chosen))
        for chosen in (ours, theirs)
    )
    classes = Pair(own.labels.numpy(), their.labels.numpy())
    value, low, high = area(mine, yours, classes, whose(evidence, ours, theirs)).interval()
    return Finding(
        test=test,
        estimate=value,
        low=low,
        high=high,
        n=len(ours),
        details={"others": len(theirs)},
    )
