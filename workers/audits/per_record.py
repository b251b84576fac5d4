"""Does any single forgotten image stand out?"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Gt, Lt
from scipy import stats

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.inference import discoveries, rate
from workers.people import Pair, thinned, whose
from workers.references import MISSING, Sides, sides, strata, view
from workers.signals import counts, margin, rng
from workers.standings import levelled, standing
from workers.statistics import Flags, Floats, placements, proportion, true_positives

LEVEL = 0.05
STEPS = 20
"""Bars of the histogram of p-values."""
STRATA, ENOUGH = 5, 50
"""Steps of hardness in a class, and how many never-trained images each must have."""
DRAWN, LEAST_DRAWN = 300, 16
"""Images of either side that a picture shows, at most; of fewer forgotten ones there is none."""
GRAIN = 0.25
"""Nats to which those are rounded, and then scattered: a point that fits one image would name it."""
FITTED = 100
"""Never-trained images from which the shape of the tail is learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerRecord(Audit):
    """A p-value for each forgotten image, for either tail: a right of persons, not of averages.

    An image's margin is held against those of models that never saw it, in units of their spread,
    and that against the never-trained images of its class and hardness. `high` and `low`: the share of images
    that stand out more than 95 % of those do is at most 5 % and `excess_limit`; too many high ones
    are remembered, too many low ones were pushed away. `exposed`: no image is flagged high at a
    false-discovery rate of `q_limit` (p by a Student-t fitted to the never-trained images, which
    reaches further than their ranks), unless a model of the pool that never saw it shows the same;
    it fails where more are than among never-trained images. Images are counted, never named.

    Source: BaVarIA, arXiv:2603.11799 (Student-t with a fitted prior); Benjamini and Hochberg, J.
    Royal Statistical Society B 57 (1995); Storey, ibid. 64 (2002) (excess); the tail as an
    empirical null, Efron, J. American Statistical Association 99 (2004).
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[tuple[str, ...]] = ("per_record",)
    excess_limit: Annotated[float, Gt(0), Lt(1)] = 0.05
    """Largest excess share, at its one-sided upper bound, that passes."""
    q_limit: Annotated[float, Gt(0), Lt(1)] = 0.01
    """False-discovery rate below which an image counts as exposed."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`high`, `low` and `exposed`; none for a baseline."""
        if evidence.goal == "none":
            return []
        found = sides(evidence)
        if found is None or len(found.others) < FITTED:
            gate = "No image stands out from models that never saw it."
            return [unanswered("per_record.exposed", gate, MISSING)]
        mine, yours, people = _standings(evidence, found)
        tail = stats.t(*stats.t.fit(yours, floc=0.0))
        return [
            self._share(evidence, "per_record.high", mine, yours, people),
            self._share(evidence, "per_record.low", -mine, -yours, people),
            self._exposed(evidence, found, tail.sf(mine), tail.sf(yours)),
        ]

    def _share(
        self, evidence: Evidence, test: str, mine: Floats, yours: Floats, people: Pair
    ) -> Finding:
        found = thinned(true_positives(mine, yours, LEVEL), mine, yours, people)
        ruling = rate(found, LEVEL + self.excess_limit, evidence.alpha)
        value, low, high = (bound - LEVEL for bound in found.rate)
        return Finding(
            test=test,
            estimate=value,
            low=low,
            high=high,
            n=len(mine),
            unit="points",
            gate=f"Surely at most {self.excess_limit:.0%} more than {LEVEL:.0%} stand out.",
            allowed=(-LEVEL, self.excess_limit),
            verdict=ruling.verdict,
            reason=ruling.reason,
            details={"p_values": _histogram(mine, yours)},
            p_value=ruling.p_value,
        )

    def _exposed(self, evidence: Evidence, found: Sides, high: Floats, unseen: Floats) -> Finding:
        flagged = (discoveries(high) < self.q_limit) & ~_shown_by_pool(evidence, found)
        threshold = float(high[flagged].max()) if flagged.any() else 0.0
        hits, n = int(flagged.sum()), len(high)
        alike, others = int((unseen <= threshold).sum()), len(unseen)
        chance = float(stats.binom.sf(hits - 1, n, (alike + 1) / (others + 1)))
        verdict, reason = Verdict.PASS, ""
        if hits:
            verdict = Verdict.FAIL if chance < 0.05 else Verdict.INCONCLUSIVE
            reason = (
                f"{hits} of {n} images stand out, as do {alike} of {others} that were never "
                "trained on."
            )
        share, low, upper = proportion(hits, n)
        return Finding(
            test="per_record.exposed",
            estimate=share,
            low=low,
            high=upper,
            n=n,
            unit="share",
            gate=f"No image stands out at a false-discovery rate of {self.q_limit:.0%}.",
            allowed=(0.0, 0.0),
            verdict=verdict,
            reason=reason,
            details={
                **_scatter(evidence, found, flagged),
                "flagged": hits,
                "flagged_at_10": int((discoveries(high) < 0.1).sum()),
                "smallest_q": float(discoveries(high).min()),
            },
            p_value=chance,
        )


def _standings(evidence: Evidence, found: Sides) -> tuple[Floats, Floats, Pair]:
    """Both sides in one, so that they share the prior; and whom their images are of."""
    assert evidence.references is not None
    whole, n = torch.cat([found.ours, found.others]), len(found.ours)
    standings = standing(margin(evidence.after.of(whole)), view(evidence.references, whole))
    ours, theirs = strata(evidence, found, STRATA, ENOUGH)
    people, met = whose(evidence, *found), np.isin(theirs, ours)
    levels = levelled(standings[:n], standings[n:], ours, theirs)
    return *levels, Pair(people.ours, people.theirs[met])


def _shown_by_pool(evidence: Evidence, found: Sides) -> Flags:
    """Whether a model of the pool that never saw the row is as far above the other such models."""
    assert evidence.references is not None
    pool = view(evidence.references, found.ours)
    mine = standing(margin(evidence.after.of(found.ours)), pool)
    shown = np.zeros(len(mine), np.bool_)
    for k in range(len(pool.out)):
        enough = pool.out[k] & (pool.without(k).out.sum(0) >= 2)
        rest = pool.without(k).at(np.flatnonzero(enough))
        shown[enough] |= standing(pool.margins[k][enough], rest) >= mine[enough]
    return shown


def _scatter(evidence: Evidence, found: Sides, flagged: Flags) -> dict[str, Any]:
    """Margins above those of models that never saw the row, before and after: some of either side.

    In no order; `usual` holds 95 % of the never-trained images after.
    """
    assert evidence.references is not None
    if len(found.ours) < LEAST_DRAWN:
        return {}
    placed, chance = [], rng(evidence)
    for chosen in found:
        usual = view(evidence.references, chosen).hardness
        before, after = (margin(s.of(chosen)) for s in (evidence.before, evidence.after))
        exact = np.stack([before - usual, after - usual], 1)
        coarse = (exact / GRAIN).round() + chance.uniform(-0.5, 0.5, exact.shape)
        placed.append((GRAIN * coarse).round(3))
    mine, yours = placed
    return {
        "forgotten": chance.permutation(mine)[:DRAWN].tolist(),
        "unseen": chance.permutation(yours)[:DRAWN].tolist(),
        "exposed": chance.permutation(mine[flagged])[:DRAWN].tolist(),
        "usual": [float(bound) for bound in np.quantile(yours[:, 1], [0.025, 0.975])],
    }


def _histogram(mine: Floats, yours: Floats) -> list[int]:
    """How many p-values fall into each of 20 steps: the shares of others that stand out more."""
    p_values = 1 - placements(mine, yours)
    return counts(np.minimum((p_values * STEPS).astype(np.int64), STEPS - 1), STEPS)
