"""What many tests, many records and few retrains allow to be said. All float64."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from scipy import stats

from workers.evidence import Verdict
from workers.statistics import (
    Estimate,
    Floats,
    Ints,
    TruePositives,
    lower_bound,
    placements,
    upper_bound,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """How a gate reads a number."""

    verdict: Verdict
    reason: str
    p_value: float


# ---- many tests, many records ------------------------------------------------------------------


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that the smallest may be held against the level of the whole family.

    Source: Holm, Scandinavian J. of Statistics 6 (1979).
    """
    order = np.argsort(p_values)
    weighted = np.asarray(p_values, np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(weighted))
    return [float(p) for p in adjusted]


def discoveries(p_values: Floats) -> Floats:
    """The false-discovery rate at which each record would just be flagged: (n,).

    Source: Benjamini and Hochberg, J. Royal Statistical Society B 57 (1995).
    """
    if not len(p_values):
        return p_values
    flagged: Floats = stats.false_discovery_control(p_values, method="bh")
    return flagged


def few(hits: int, n: int, limit: float, nominal: float, alpha: float = 0.05) -> Verdict:
    """Is a share surely at most `limit`, or surely above `nominal` and seen above `limit`?"""
    if upper_bound(hits, n, 1 - alpha) <= limit:
        return Verdict.PASS
    above = lower_bound(hits, n) > nominal and hits / n > limit
    return Verdict.FAIL if above else Verdict.INCONCLUSIVE


def rate(found: TruePositives, limit: float, alpha: float = 0.05) -> Ruling:
    """Read a true-positive rate at few false positives against the largest that passes.

    The p-value counts that the threshold was taken from the others: of n members as many lie
    above the r + 1st largest of m others as a beta-binomial (n, r + 1, m - r) says.
    """
    hits, n = round(found.rate.value * found.n), found.n
    allowed, others = found.false_positives, found.others
    more = np.arange(hits, n + 1)  # in one go: scipy's tail function is a hundred times slower
    chance = min(1.0, float(stats.betabinom.pmf(more, n, allowed + 1, others - allowed).sum()))
    verdict = few(hits, n, limit, allowed / others, alpha)
    if verdict is Verdict.FAIL and chance > 0.05:
        verdict = Verdict.INCONCLUSIVE  # so few others that the threshold itself is a guess
    bound = upper_bound(hits, n, 1 - alpha)
    reason = f"{hits} of {n} are found, surely at most {bound:.1%}; the limit is {limit:.1%}."
    return Ruling(verdict=verdict, reason=reason, p_value=chance)


# ---- distance to retrained models --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where one more retrained model would lie, going by those that there are."""

    centre: float
    spread: float
    """Standard deviation of the prediction: of the models, of their mean, and of counting."""
    models: int

    def bound(self, confidence: float) -> float:
        """Above it lies one more retrained model with probability 1 - confidence."""
        reach = float(stats.t.ppf(confidence, self.models - 1)) * self.spread
        return self.centre + reach

    def chance(self, value: float) -> float:
        """The probability that one more retrained model lies at `value` or above."""
        return float(stats.t.sf((value - self.centre) / self.spread, self.models - 1))


def band(values: Sequence[float], counted: int | None = None) -> Band:
    """The t-prediction band of one more model.

    Args:
        values: of at least two retrained models.
        counted: of how many images each value is a share. Counting adds the error of a share, so
            that models which happen to agree do not make a band without width.

    Raises:
        ValueError: if there are fewer than two models, or no width whatever.

    Source: Hahn and Meeker, "Statistical Intervals" (1991), prediction of a single observation.
    """
    k = len(values)
    if k < 2:
        raise ValueError("A prediction takes at least two models.")
    centre, variance = float(np.mean(values)), float(np.var(values, ddof=1))
    if counted:
        share = (centre * counted + 0.5) / (counted + 1)
        variance = max(variance, share * (1 - share) / counted)
    if variance <= 0.0:
        raise ValueError("Models that agree to the last digit make no band.")
    return Band(centre=centre, spread=sqrt(variance * (1 + 1 / k)), models=k)


def inside(value: float, found: Band, level: float) -> Ruling:
    """Is a value no larger than that of one more retrained model, but for a share `level`?"""
    limit, chance = found.bound(1 - level), found.chance(value)
    where = "within" if value <= limit else "above"
    reason = (
        f"{value:.3f} is {where} the bound of {limit:.3f} that {found.models} retrained models "
        f"set (their mean is {found.centre:.3f})."
    )
    verdict = Verdict.PASS if value <= limit else Verdict.FAIL
    return Ruling(verdict=verdict, reason=reason, p_value=chance)


# ---- how much of what could be seen is left ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """What each sample adds to an area under the curve; the means of both sides are zero."""

    value: float
    members: Floats
    others: Floats

    def less(self, other: "Influence") -> "Influence":
        """The difference of two areas on the same samples."""
        return Influence(
            value=self.value - other.value,
            members=self.members - other.members,
            others=self.others - other.others,
        )

    def blank(self) -> "Influence":
        """That of an attack which can tell nothing."""
        return replace(self.less(self), value=0.5)


def influence(members: Floats, others: Floats, ours: Ints, theirs: Ints) -> Influence:
    """The parts of `auc(members, others, ours, theirs)`, sample by sample.

    Source: the projection of a U-statistic, Hoeffding, Annals of Math. Statistics 19 (1948).
    """
    mine, yours = np.empty(len(members)), np.zeros(len(others))
    for stratum in np.unique(ours):
        here, there = ours == stratum, theirs == stratum
        mine[here] = placements(members[here], others[there])
        away = 1 - placements(others[there], members[here])
        share = here.mean() * len(others) / there.sum()
        yours[there] = share * (away - away.mean())
    return Influence(value=float(mine.mean()), members=mine - mine.mean(), others=yours)


def mean(parts: Sequence[Influence]) -> Influence:
    """The mean of areas on the same samples."""
    return Influence(
        value=float(np.mean([each.value for each in parts])),
        members=np.mean([each.members for each in parts], 0),
        others=np.mean([each.others for each in parts], 0),
    )


def shift(before: Influence, after: Influence) -> tuple[float, float]:
    """How much an area rose on the same images, and the standard error of that.

    Half a sample on either side is counted as undecided, so that no change among few images does
    not pass for certainty.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), two correlated areas.
    """
    variance = 0.0
    for old, new in ((before.members, after.members), (before.others, after.others)):
        n = len(old)
        variance += (float(((new - old) ** 2).sum()) + 0.25) / n**2
    return after.value - before.value, sqrt(variance)


def residue(
    before: Influence, after: Influence, rng: np.random.Generator, draws: int = 500
) -> Estimate:
    """(area after - 1/2) / (area before - 1/2), on the same samples, with its 95 % interval.

    Images are drawn anew, both versions together; percentiles of the ratio are the interval.

    Raises:
        ValueError: if the version before has an area of one half, for then nothing could be left.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if before.value == 0.5:
        raise ValueError("There was nothing to see before, so no share of it can be left.")
    members = _means(np.stack([before.members, after.members], 1), rng, draws)
    others = _means(np.stack([before.others, after.others], 1), rng, draws)
    areas = members + others + np.array([before.value, after.value]) - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.nanquantile(areas[:, 1] / areas[:, 0], [0.025, 0.975])
    value = (after.value - 0.5) / (before.value - 0.5)
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _means(values: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """(n, k) -> (draws, k): means of n rows drawn with replacement."""
    n = len(values)
    picked = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(draws))
    return np.stack([counts @ values for counts in picked]) / n
