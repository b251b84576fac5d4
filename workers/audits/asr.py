"""How often does a simple attack on the model's confidence succeed?"""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from scipy import stats

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.signals import comparable, confidence, rng, rows
from workers.statistics import Flags, Floats

FOLDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asr(Audit):
    """Attack success rate, by *our* definition; it only reports.

    The paper that made the name known publishes neither its attack nor code for it, so this is
    ours: the attacker calls an image forgotten-from-training when the softmax probability of its
    true label exceeds a threshold. The threshold is the best one on a random half of the forget
    set and of the never-trained images of the same classes, and is tried on the other half; the
    halves then change places. The estimate is the balanced accuracy over both: the mean of the
    shares of forgotten and of never-trained images called rightly. 0.5 is silence. Not comparable
    with published ASR values.

    Source: our own definition, after the threshold attack of Yeom et al., "Privacy Risk in Machine
    Learning", CSF 2018; interval after Agresti and Coull, The American Statistician 52 (1998).
    """

    compares: ClassVar[tuple[str, ...]] = ("asr",)

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for the baseline of a version that forgot nothing."""
        if evidence.goal == "none":
            return []
        ours, others = comparable(evidence, rows(evidence, "forget"))
        if min(len(ours), len(others)) < FOLDS:
            reason = "Fewer than two forgotten or two never-trained images of the same classes."
            return [Finding(test="asr", estimate=None, unit="share", reason=reason)]
        sides = _halves(len(ours), rng(evidence)), _halves(len(others), rng(evidence))
        before = _success(evidence.before.of(ours), evidence.before.of(others), sides)
        caught, spared = _called(evidence.after.of(ours), evidence.after.of(others), sides)
        value = _balanced(caught, spared)
        reach = _reach(caught, spared)
        return [
            Finding(
                test="asr",
                estimate=value,
                low=max(0.0, value - reach),
                high=min(1.0, value + reach),
                n=len(ours),
                before=before,
                unit="share",
                details={"nonmembers": len(others), "definition": "ours, see the description"},
            )
        ]


Sides = tuple[Flags, Flags]


def _halves(n: int, chance: np.random.Generator) -> Flags:
    """A random half of n, as flags; both halves have at least one if n is at least two."""
    half: Flags = chance.permutation(n) % FOLDS == 0
    return half


def _called(members: Scores, others: Scores, sides: Sides) -> Sides:
    """For each member, whether it is caught; for each other, whether it is spared."""
    ours, theirs = confidence(members), confidence(others)
    caught, spared = np.empty(len(ours), np.bool_), np.empty(len(theirs), np.bool_)
    for fold in (True, False):
        threshold = best_threshold(ours[sides[0] == fold], theirs[sides[1] == fold])
        caught[sides[0] != fold] = ours[sides[0] != fold] > threshold
        spared[sides[1] != fold] = theirs[sides[1] != fold] <= threshold
    return caught, spared


def best_threshold(members: Floats, others: Floats) -> float:
    """The value above which to call "member" for the best balanced accuracy; the lowest such.

    Every value seen is a candidate, and calling everything a member.
    """
    candidates = np.append(-np.inf, np.unique(np.concatenate([members, others])))
    caught = 1 - np.searchsorted(np.sort(members), candidates, side="right") / len(members)
    spared = np.searchsorted(np.sort(others), candidates, side="right") / len(others)
    return float(candidates[np.argmax(caught + spared)])


def _success(members: Scores, others: Scores, sides: Sides) -> float:
    return _balanced(*_called(members, others, sides))


def _balanced(caught: Flags, spared: Flags) -> float:
    return float(caught.mean() + spared.mean()) / 2


def _reach(caught: Flags, spared: Flags) -> float:
    """Half the width of the 95 % interval, with two hits and two misses added to either rate."""
    variance = 0.0
    for hits in (caught, spared):
        n = len(hits) + 4
        rate = (float(hits.sum()) + 2) / n
        variance += rate * (1 - rate) / n / 4
    return float(stats.norm.ppf(0.975)) * sqrt(variance)
