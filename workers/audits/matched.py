"""Do forgotten images stand out among never-trained ones that are as hard?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt
from scipy import stats

from workers.attacks import Attack, Told, beside, unanswered, weighed
from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.references import MISSING, Sides, sides, strata
from workers.signals import entropy, margin
from workers.statistics import Floats, Ints

SIGNALS = {"margin": margin, "entropy": entropy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched(Audit):
    """The logit margin, against never-trained images of the same class and hardness. Gates.

    How hard an image is, models of the reference pool say that never saw it. Whoever asks to be
    forgotten may have asked for hard images; unmatched, even a retrained model would be accused
    of them. `auc` is read as in `rmia`, beside which it stands: it may fail a model, and must clear
    it only where it has the power to. `margin` and `entropy` compare distributions as wholes:
    forgotten images with the right mean and the wrong spread, or far more entropy than unseen
    ones, are a trace of forgetting. They fail below the limit, once all gates are counted.

    Source: Watson et al., "On the Importance of Difficulty Calibration in Membership Inference
    Attacks", ICLR 2022; the two-sample test of Kolmogorov and Smirnov in each stratum, joined
    after Fisher, "Statistical Methods for Research Workers" (1925).
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[bool] = True
    controlled: ClassVar[bool] = True
    margin: Annotated[float, Gt(0), Lt(0.5)] = 0.05
    """Largest distance of the area from one half that counts as none."""
    strata: Annotated[int, Ge(1)] = 10
    """Steps of hardness in a class, where its images suffice."""
    p_limit: Annotated[float, Gt(0), Lt(1)] = 0.01
    """Smallest p-value of a distribution that passes."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`auc`, `margin` and `entropy`; none for a baseline."""
        if evidence.goal == "none":
            return []
        found = sides(evidence)
        if found is None:
            gate = f"The area lies within {self.margin} of one half, or a quarter of what was."
            return [unanswered("matched.auc", gate, MISSING)]
        ours, theirs = strata(evidence, found, self.strata)
        before, after = (
            Told(*(margin(scores.of(chosen)) for chosen in found))
            for scores in (evidence.before, evidence.after)
        )
        attack = Attack(before=before, after=after, ours=ours, theirs=theirs)
        return [
            beside(weighed("matched.auc", evidence, attack, self.margin)),
            *(self._whole(evidence, found, name) for name in SIGNALS),
        ]

    def _whole(self, evidence: Evidence, found: Sides, name: str) -> Finding:
        mine, yours = (SIGNALS[name](evidence.after.of(chosen)) for chosen in found)
        statistic, chance = _apart(mine, yours, *strata(evidence, found, self.strata))
        good = chance > self.p_limit
        reason = f"Were they alike, so large a difference would have a chance of {chance:.2g}."
        return Finding(
            test=f"matched.{name}",
            estimate=statistic,
            n=len(mine),
            gate=f"The distributions differ by chance: the p-value is above {self.p_limit}.",
            verdict=Verdict.PASS if good else Verdict.FAIL,
            reason=reason,
            details={"nonmembers": len(yours)},
            p_value=chance,
        )


def _apart(mine: Floats, yours: Floats, ours: Ints, theirs: Ints) -> tuple[float, float]:
    """The mean distance of the two distributions over the strata, and the joint p-value."""
    tests = [stats.ks_2samp(mine[ours == s], yours[theirs == s]) for s in np.unique(ours)]
    weights = np.array([(ours == s).sum() for s in np.unique(ours)], np.float64)
    chances = np.clip([float(test.pvalue) for test in tests], 1e-300, 1.0)
    joint = stats.combine_pvalues(chances, method="fisher").pvalue
    return float(np.average([test.statistic for test in tests], weights=weights)), float(joint)
