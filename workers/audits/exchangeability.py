"""Are the never-trained images of the same kind as the forgotten ones?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.kinds import Samples
from workers.people import Pair, area, whose
from workers.signals import comparable, labels, rng, rows
from workers.statistics import Floats, Ints

GRID = 4
"""Pictures are shrunk to this many cells a side."""
GATE = "A classifier on pixels tells forgotten from never-trained images of a class by chance."


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchangeability(Audit):
    """A classifier that has never heard of the model tries to tell D_f from the hold-out.

    It sees pictures shrunk to 4 x 4 cells, their brightness, contrast and sharpness, and compares
    within classes. If it succeeds, the two differ in source, time or treatment; then a membership
    attack would find that difference and accuse a model that never saw the images, or be blind.
    The hold-out is called invalid, and all comparisons with it are refused. It says nothing of
    the model. Forgotten images without never-trained images of their class are counted. Where both
    sides are of different people, no person is in two parts, so that knowing a face is of no use;
    there must be as many people on either side as parts.

    Source: classifier two-sample tests, Lopez-Paz and Oquab, ICLR 2017; limit is ours.
    """

    tier: ClassVar[int] = 1
    limit: Annotated[float, Gt(0.5), Lt(1)] = 0.55
    """Largest area of a hold-out that can be valid, unless chance explains more."""
    sample: Annotated[int, Ge(2)] = 2000
    """Images on either side."""
    folds: Annotated[int, Ge(2)] = 5
    """Parts, each of which is judged by a classifier that learned from the others."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for a baseline."""
        test = "exchangeability"
        if evidence.goal == "none":
            return []
        forget = rows(evidence, "forget")
        ours, others = comparable(evidence, forget)
        if evidence.samples is None:
            return [unanswered(test, GATE, "The pixels are not at hand.")]
        chance = rng(evidence)
        mine, yours = (_some(chosen, self.sample, chance) for chosen in (ours, others))
        own, their = (labels(evidence, chosen).numpy() for chosen in (mine, yours))
        people = whose(evidence, mine, yours)
        if lacking := self._lacking(people):
            return [unanswered(test, GATE, lacking)]
        described = _centred(_described(evidence.samples, torch.cat([mine, yours])), own, their)
        told = self._told(described, people, chance)
        found = area(told[: len(mine)], told[len(mine) :], Pair(own, their), people)
        value, low, high = found.interval()
        valid = not (value > self.limit and low > 0.5)
        reason = (
            ""
            if valid
            else f"Invalid hold-out: pixels alone tell it apart, with an area of {value:.3f} "
            f"({low:.3f} to {high:.3f}); comparisons with it are refused."
        )
        return [
            Finding(
                test=test,
                estimate=value,
                low=low,
                high=high,
                n=len(mine),
                gate=GATE,
                allowed=(0.0, self.limit),
                verdict=Verdict.PASS if valid else Verdict.INCONCLUSIVE,
                reason=reason,
                details={
                    "nonmembers": len(yours),
                    "without_their_class": len(forget) - len(ours),
                    "valid": valid,
                },
            )
        ]

    def _lacking(self, people: Pair) -> str:
        """What it takes and is not there."""
        if min(map(len, people)) < 2 * self.folds:
            return "There are too few never-trained images of the same classes."
        if _apart(people) and min(len(np.unique(side)) for side in people) < self.folds:
            return "The images are of too few people to tell a source from a person."
        return ""

    def _told(self, described: Floats, people: Pair, chance: np.random.Generator) -> Floats:
        """How much each row looks like a forgotten one, to a classifier that has not seen it."""
        truth = np.arange(len(described)) < len(people.ours)
        told = np.empty(len(described))
        groups = np.concatenate(people) if _apart(people) else None
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        parts = kind(self.folds, shuffle=True, random_state=int(chance.integers(2**31)))
        for learned, judged in parts.split(described, truth, groups):
            machine = LogisticRegression(C=0.1, max_iter=2000)
            machine.fit(described[learned], truth[learned])
            told[judged] = machine.decision_function(described[judged])
        return told


def _apart(people: Pair) -> bool:
    """Are both sides of different people, some of whom have several images?"""
    several = any(len(np.unique(side)) < len(side) for side in people)
    return several and not np.isin(people.ours, people.theirs).any()


def _some(chosen: Tensor, size: int, chance: np.random.Generator) -> Tensor:
    return chosen[torch.from_numpy(np.sort(chance.permutation(len(chosen))[:size]))]


@torch.no_grad()
def _described(everything: Samples, chosen: Tensor) -> Floats:
    """(n, features): cells, and mean, deviation and mean step from pixel to pixel."""
    told = []
    for images, _ in everything.take(chosen.to(everything.index.device)).batches(500):
        cells = adaptive_avg_pool2d(images, GRID).flatten(1)
        steps = (images.diff(dim=2).abs().mean((2, 3)), images.diff(dim=3).abs().mean((2, 3)))
        told.append(torch.cat([cells, images.mean((2, 3)), images.std((2, 3)), *steps], 1))
    return torch.cat(told).double().cpu().numpy()


def _centred(described: Floats, own: Ints, their: Ints) -> Floats:
    """Without what tells classes apart; every feature with deviation one."""
    strata, found = np.concatenate([own, their]), described.copy()
    for stratum in np.unique(strata):
        found[strata == stratum] -= found[strata == stratum].mean(0)
    spread = found.std(0)
    scaled: Floats = found / np.where(spread > 1e-9, spread, 1.0)
    return scaled
