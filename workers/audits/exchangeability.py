"""Are the never-trained images of the same kind as the forgotten ones?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.kinds import Samples
from workers.signals import comparable, labels, rng, rows
from workers.statistics import Floats, Ints, auc

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
    the model. Forgotten images without never-trained images of their class are counted.

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
        if min(len(mine), len(yours)) < 2 * self.folds:
            reason = "There are too few never-trained images of the same classes."
            return [unanswered(test, GATE, reason)]
        described = _centred(_described(evidence.samples, torch.cat([mine, yours])), own, their)
        told = self._told(described, len(mine), chance)
        area = auc(told[: len(mine)], told[len(mine) :], own, their)
        value, low, high = area.interval()
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
                verdict=Verdict.PASS if valid else Verdict.INCONCLUSIVE,
                reason=reason,
                details={
                    "nonmembers": len(yours),
                    "without_their_class": len(forget) - len(ours),
                    "valid": valid,
                },
            )
        ]

    def _told(self, described: Floats, members: int, chance: np.random.Generator) -> Floats:
        """How much each row looks like a forgotten one, to a classifier that has not seen it."""
        truth = np.arange(len(described)) < members
        told = np.empty(len(described))
        seed = int(chance.integers(2**31))
        parts = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
        for learned, judged in parts.split(described, truth):
            machine = LogisticRegression(C=0.1, max_iter=2000)
            machine.fit(described[learned], truth[learned])
            told[judged] = machine.decision_function(described[judged])
        return told


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
