"""Are the images that the old model knew best forgotten as well?"""

from dataclasses import dataclass, replace
from math import sqrt
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from scipy import stats
from torch import Tensor

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Scores, Verdict
from workers.people import Pair, area, whose
from workers.references import MISSING, Pool, Sides, sides, view
from workers.signals import comparable, labels, margin
from workers.statistics import Auc


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstDecile(Audit):
    """The area under the curve on the tenth of D_f that models memorise most. A gate.

    An average hides an exposed tail. Memorised most are the images whose margin training raises
    most, by the models of the pool that were trained on them against those that were not. The
    never-trained images that they are compared with are chosen in the same way, by the same
    threshold, for many were drawn into the training of pool models too; so the choice favours
    neither side. Never fewer than `least` images are looked at: of a smaller forget set, that is
    more than a tenth. Below twice that, it is not asked.

    Source: Feldman and Zhang, "What Neural Networks Memorize and Why", NeurIPS 2020 (memorisation);
    Carlini et al., "LiRA", S&P 2022 (averages hide the exposed few); limits are ours.
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[tuple[str, ...]] = ("worst_decile",)
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
        chosen = self._memorised(evidence, found)
        if not len(chosen.ours):
            return [unanswered(test, gate, MISSING)]
        before, after = (
            _area(evidence, scores, chosen) for scores in (evidence.before, evidence.after)
        )
        return [self._ruled(evidence, before, after, gate)]

    def _memorised(self, evidence: Evidence, found: Sides) -> Sides:
        """The rows of either side above the threshold that a tenth of D_f exceeds."""
        mine, yours = (_pool(evidence, chosen).memorised for chosen in found)
        ranked = np.sort(mine[np.isfinite(mine)])[::-1]
        size = min(len(ranked), max(self.least, len(mine) // 10))
        threshold = ranked[size - 1] if size else np.inf
        ours, others = (
            chosen[torch.from_numpy(np.nan_to_num(known, nan=-np.inf) >= threshold)]
            for chosen, known in zip(found, (mine, yours), strict=True)
        )
        beside = replace(evidence, parts={**evidence.parts, "nonmembers": others})
        return Sides(*comparable(beside, ours))

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
            allowed=(0.0, self.limit),
            verdict=verdict,
            reason=f"The area is {value:.3f}, surely at most {bound:.3f}.",
            before=before.value,
            details={"nonmembers": after.others},
            p_value=chance,
        )


def _pool(evidence: Evidence, chosen: Tensor) -> Pool:
    assert evidence.references is not None
    return view(evidence.references, chosen)


def _area(evidence: Evidence, scores: Scores, chosen: Sides) -> Auc:
    """Margins above those of models that never saw the row, within classes."""
    mine, yours = (margin(scores.of(rows)) - _pool(evidence, rows).hardness for rows in chosen)
    own, their = (labels(evidence, rows).numpy() for rows in chosen)
    return area(mine, yours, Pair(own, their), whose(evidence, *chosen))
