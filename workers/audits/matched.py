"""Do forgotten images stand out among never-trained ones that are as hard?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt
from scipy import stats

from workers.attacks import Attack, Told, beside, unanswered, weighed
from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.inference import band
from workers.people import whose
from workers.references import MISSING, Sides, bins, sides, stand_ins, strata
from workers.signals import entropy, labels, margin
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
    ones, are a trace of forgetting. They fail below the limit, once all gates are counted. Images
    that were picked for being hard are harder than the images they are matched with, for any
    model; so where distributions differ, those of models of the pool that never saw the images are
    compared likewise, by their margins, and only a distance beyond theirs counts.

    Source: Watson et al., "On the Importance of Difficulty Calibration in Membership Inference
    Attacks", ICLR 2022; the two-sample test of Kolmogorov and Smirnov in each stratum, joined
    after Fisher, "Statistical Methods for Research Workers" (1925).
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[tuple[str, ...]] = ("matched",)
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
        before, after = (
            Told(*(margin(scores.of(chosen)) for chosen in found))
            for scores in (evidence.before, evidence.after)
        )
        ours, theirs = strata(evidence, found, self.strata)
        people = whose(evidence, *found)
        attack = Attack(before=before, after=after, ours=ours, theirs=theirs, people=people)
        others = self._others(evidence, found, attack)
        return [
            beside(weighed("matched.auc", evidence, attack, self.margin, others)),
            *(self._whole(evidence, found, name, others) for name in SIGNALS),
        ]

    def _others(self, evidence: Evidence, found: Sides, attack: Attack) -> list[Attack]:
        own, their = (labels(evidence, chosen).numpy() for chosen in found)
        attacks = []
        for other in stand_ins(evidence, found):
            ours, theirs = bins(other.our_pool, other.their_pool, own, their, self.strata)
            never_saw = Told(other.ours, other.others)
            attacks.append(replace(attack, never_saw=never_saw, ours=ours, theirs=theirs))
        return attacks

    def _whole(
        self, evidence: Evidence, found: Sides, name: str, attacks: Sequence[Attack]
    ) -> Finding:
        mine, yours = (SIGNALS[name](evidence.after.of(chosen)) for chosen in found)
        statistic, chance = _apart(mine, yours, *strata(evidence, found, self.strata))
        reason = f"Were they alike, so large a difference would have a chance of {chance:.2g}."
        usual = _usual(attacks) if chance <= self.p_limit else []
        if len(set(usual)) > 1:
            chance = max(chance, band(usual).chance(statistic))
            reason = (
                f"Models that never saw the images differ by {np.mean(usual):.3f}; a difference "
                f"of {statistic:.3f} would have a chance of {chance:.2g} among them."
            )
        good = chance > self.p_limit
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


def _usual(attacks: Sequence[Attack]) -> list[float]:
    """The same distance, of models that never saw the images."""
    return [_apart(*a.never_saw, a.ours, a.theirs)[0] for a in attacks if a.never_saw]


def _apart(mine: Floats, yours: Floats, ours: Ints, theirs: Ints) -> tuple[float, float]:
    """The mean distance of the two distributions over the strata, and the joint p-value."""
    tests = [stats.ks_2samp(mine[ours == s], yours[theirs == s]) for s in np.unique(ours)]
    weights = np.array([(ours == s).sum() for s in np.unique(ours)], np.float64)
    chances = np.clip([float(test.pvalue) for test in tests], 1e-300, 1.0)
    joint = stats.combine_pvalues(chances, method="fisher").pvalue
    return float(np.average([test.statistic for test in tests], weights=weights)), float(joint)
