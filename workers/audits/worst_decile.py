"""Are the images that the old model knew best forgotten as well?"""

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from scipy import stats
from torch import Tensor

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Scores, Verdict
from workers.references import MISSING, Pool, Sides, bins, sides, view
from workers.signals import labels, margin
from workers.statistics import Auc, auc

STRATA = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstDecile(Audit):
    """The area under the curve on the tenth of D_f that the old model had memorised most. A gate.

    An average hides an exposed tail. Memorised most are those whose margin in the version before
    is furthest above that of models that never saw them; half of the pool selects them, and the
    other half takes their hardness out of what is compared, since whoever selects and measures
    by the same models finds what they selected for. Never fewer than `least` images are looked
    at: of a smaller forget set, that is more than a tenth. Below twice that, it is not asked.

    Source: Feldman and Zhang, "What Neural Networks Memorize and Why", NeurIPS 2020 (memorisation);
    Carlini et al., "LiRA", S&P 2022 (averages hide the exposed few); limits are ours.
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[bool] = True
    limit: Annotated[float, Gt(0.5), Lt(1)] = 0.60
    """Largest area that can pass."""
    upper_limit: Annotated[float, Gt(0.5), Lt(1)] = 0.65
    """Largest one-sided upper bound of the area that passes."""
    least: Annotated[int, Ge(1)] = 100
    """Images at least."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for a baseline."""
        test = "worst_decile"
        gate = f"The area is at most {self.limit}, and surely at most {self.upper_limit}."
        if evidence.goal == "none":
            return []
        found = sides(evidence)
        if found is None:
            return [unanswered(test, gate, MISSING)]
        if len(found.ours) < 2 * self.least:
            reason = f"It takes {2 * self.least} forgotten images to speak of a part of them."
            return [Finding(test=test, estimate=None, n=len(found.ours), reason=reason)]
        worst = self._known_best(evidence, found)
        before, after = (
            _area(evidence, scores, Sides(worst, found.others))
            for scores in (evidence.before, evidence.after)
        )
        return [self._ruled(evidence, before, after, gate)]

    def _known_best(self, evidence: Evidence, found: Sides) -> Tensor:
        """The rows of D_f that the old model knew far better than half of the pool did."""
        selecting, _ = _halves(evidence, found.ours)
        known = margin(evidence.before.of(found.ours)) - selecting.hardness
        size = max(self.least, len(known) // 10)
        best = np.sort(np.argsort(-known, kind="stable")[:size])
        return found.ours[torch.from_numpy(best)]

    def _ruled(self, evidence: Evidence, before: Auc, after: Auc, gate: str) -> Finding:
        value, low, high = after.interval(0.95)
        bound = after.interval(1 - 2 * evidence.alpha).high
        spread = sqrt(max(after.variance, after.null_variance))
        chance = float(stats.norm.sf((value - 0.5) / spread))
        verdict = Verdict.INCONCLUSIVE
        if value <= self.limit and bound <= self.upper_limit:
            verdict = Verdict.PASS
        elif value > self.limit and low > 0.5 and chance < 0.025:
            verdict = Verdict.FAIL
        return Finding(
            test="worst_decile",
            estimate=value,
            low=low,
            high=high,
            n=after.members,
            gate=gate,
            verdict=verdict,
            reason=f"The area is {value:.3f}, surely at most {bound:.3f}.",
            before=before.value,
            details={"nonmembers": after.others},
            p_value=chance,
        )


def _halves(evidence: Evidence, chosen: Tensor) -> tuple[Pool, Pool]:
    assert evidence.references is not None
    return view(evidence.references, chosen).halves()


def _area(evidence: Evidence, scores: Scores, found: Sides) -> Auc:
    """Strata by the half that selects, calibration by the other."""
    (select, measure), (others_select, others_measure) = (
        _halves(evidence, chosen) for chosen in found
    )
    own, their = (labels(evidence, chosen).numpy() for chosen in found)
    ours, theirs = bins(select, others_select, own, their, STRATA)
    mine, yours = (
        margin(scores.of(chosen)) - pool.hardness
        for chosen, pool in zip(found, (measure, others_measure), strict=True)
    )
    return auc(mine, yours, ours, theirs)
