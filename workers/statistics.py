"""What a number of samples allows to be said: estimates, intervals, power, verdicts. All float64."""

from dataclasses import dataclass
from math import floor, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from workers.evidence import Verdict

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

Z975 = float(stats.norm.ppf(0.975))


class Estimate(NamedTuple):
    """A value and the interval around it."""

    value: float
    low: float
    high: float


def proportion(hits: int, n: int, confidence: float = 0.95) -> Estimate:
    """hits / n with its exact two-sided binomial interval.

    Raises:
        ValueError: if n is 0, for then there is no proportion.

    Source: Clopper and Pearson, Biometrika 26 (1934).
    """
    if n < 1:
        raise ValueError("A proportion needs at least one sample.")
    tail = (1 - confidence) / 2  # by the beta distribution: scipy's search for roots takes 2 ms
    low = special.betaincinv(hits, n - hits + 1, tail) if hits else 0.0
    high = special.betainccinv(hits + 1, n - hits, tail) if hits < n else 1.0
    return Estimate(hits / n, float(low), float(high))


def upper_bound(hits: int, n: int, confidence: float = 0.95) -> float:
    """The one-sided exact upper bound of a proportion (Clopper and Pearson, 1934)."""
    return proportion(hits, n, 2 * confidence - 1).high


def lower_bound(hits: int, n: int, confidence: float = 0.95) -> float:
    """The one-sided exact lower bound of a proportion (Clopper and Pearson, 1934)."""
    return proportion(hits, n, 2 * confidence - 1).low


def paired_drop(before: Flags, after: Flags, confidence: float = 0.95) -> Estimate:
    """How much accuracy fell on the same images, in shares, with its two-sided interval.

    Half a sample is added to each cell of the 2 x 2 table, so that "nothing changed" among few
    images does not pass for certainty.

    Raises:
        ValueError: if there are no images.

    Source: Agresti and Min, Statistics in Medicine 24 (2005), the adjusted Wald interval.
    """
    n = len(before)
    if n < 1:
        raise ValueError("A drop needs at least one image.")
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    middle = (lost - won) / (n + 2)
    spread = sqrt(max(0.0, (lost + won + 1) / (n + 2) - middle**2) / (n + 2))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * spread
    return Estimate((lost - won) / n, max(-1.0, middle - reach), min(1.0, middle + reach))


def screen_band(n_forget: float, n_other: float, alpha: float = 0.05) -> float:
    """How far two accuracies of exchangeable samples may lie apart with probability 1 - alpha.

    Free of distribution and so wide: a screen, not a test. Hoeffding's inequality on either
    side and a union bound.

    Source: Lemma 1 of "Ascent Fails to Forget" (2025), both sides counted.
    """
    return sqrt(log(4 / alpha) / (2 * n_forget)) + sqrt(log(4 / alpha) / (2 * n_other))


# ---- area under the ROC curve ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Auc:
    """The chance that a random member outranks a random non-member of its class."""

    value: float
    variance: float
    null_variance: float
    """What the variance would be were members and non-members alike."""
    pairs: int
    """How many disjoint pairs the samples make."""
    members: int
    others: int

    def interval(self, confidence: float = 0.95) -> Estimate:
        """The interval on the logit scale, so that it stays within [0, 1].

        Where every pair is ordered alike there is no spread to measure; the exact binomial
        interval of the disjoint pairs, wider, stands in.
        """
        if self.value in {0.0, 1.0}:
            exact = proportion(round(self.value * self.pairs), self.pairs, confidence)
            return Estimate(self.value, exact.low, exact.high)
        spread = sqrt(self.variance or self.null_variance) / (self.value * (1 - self.value))
        reach = float(stats.norm.ppf((1 + confidence) / 2)) * spread
        middle = special.logit(self.value)
        low, high = special.expit([middle - reach, middle + reach])
        return Estimate(self.value, float(low), float(high))


def placements(ours: Floats, theirs: Floats) -> Floats:
    """For each of ours, the share of theirs that lies below it; a tie counts one half. (n,)"""
    ranked = np.sort(theirs)
    below = np.searchsorted(ranked, ours, side="left")
    not_above = np.searchsorted(ranked, ours, side="right")
    placed: Floats = (below + not_above) / (2 * len(theirs))
    return placed


def auc(
    members: Floats,
    others: Floats,
    member_strata: Ints | None = None,
    other_strata: Ints | None = None,
) -> Auc:
    """Mann-Whitney's statistic with mid-ranks, its variance after DeLong.

    With strata (classes), members meet only others of their own stratum, and strata weigh as
    much as they have members.

    Raises:
        ValueError: if a side is empty, or a member's stratum has no others.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).
    """
    ours = np.zeros(len(members), np.int64) if member_strata is None else member_strata
    theirs = np.zeros(len(others), np.int64) if other_strata is None else other_strata
    if not len(members) or not set(ours.tolist()) <= set(theirs.tolist()):
        raise ValueError("The area under the curve needs members, and others in each stratum.")
    placed = np.empty(len(members))
    variance, null, pairs = 0.0, 0.0, 0
    for stratum in np.unique(ours):
        mine, yours = members[ours == stratum], others[theirs == stratum]
        placed[ours == stratum] = placements(mine, yours)
        n, m, share = len(mine), len(yours), len(mine) / len(members)
        variance += share**2 * _variance(1 - placements(yours, mine)) / m
        null += share**2 * (n + m + 1) / (12 * n * m)
        pairs += min(n, m)
    return Auc(
        value=float(placed.mean()),
        variance=variance + _variance(placed) / len(placed),
        null_variance=null,
        pairs=pairs,
        members=len(members),
        others=int(np.isin(theirs, ours).sum()),
    )


def _variance(shares: Floats) -> float:
    """The sample variance; of a single share the largest that a share can have."""
    return float(shares.var(ddof=1)) if len(shares) > 1 else 0.25


class Reading(NamedTuple):
    """What an interval means against a margin, and what the samples could have shown at all."""

    verdict: Verdict
    reason: str
    power: float
    """The chance that a model without any residue passes."""
    detectable: float
    """The smallest area that would be told from one half with probability 0.8."""
    p_value: float
    """The chance of an area so far from one half in a model without any residue."""


def equivalence(area: Auc, margin: float, alpha: float = 0.05) -> Reading:
    """Is the area one half, within `margin`? Two one-sided tests, each at `alpha`.

    Pass: the interval of 1 - 2 alpha lies within the margin. Fail: the estimate is outside the margin, the
    95 % interval excludes one half, and so does Mann and Whitney's own test (among a hundred
    samples DeLong's variance alone raises too many false alarms). Otherwise nobody can tell.

    Source: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    inner, outer = area.interval(1 - 2 * alpha), area.interval(0.95)
    spread, away = sqrt(area.null_variance), abs(area.value - 0.5)
    chance = 2 * float(stats.norm.cdf(margin / spread - stats.norm.ppf(1 - alpha))) - 1
    p_value = 2 * float(stats.norm.sf(away / max(spread, sqrt(area.variance))))
    size = f"The area is {area.value:.3f}, 95 % interval {outer.low:.3f} to {outer.high:.3f}"
    if 0.5 - margin <= inner.low and inner.high <= 0.5 + margin:
        verdict, reason = Verdict.PASS, f"{size}: within {margin:.3f} of one half."
    elif not outer.low <= 0.5 <= outer.high and away > max(margin, Z975 * spread):
        verdict, reason = Verdict.FAIL, f"{size}: members can be told from non-members."
    else:
        verdict, reason = Verdict.INCONCLUSIVE, f"{size}: too wide or too close to call."
    reach = (Z975 + float(stats.norm.ppf(0.8))) * spread
    return Reading(verdict, reason, max(0.0, chance), min(1.0, 0.5 + reach), p_value)


# ---- true positives at few false positives -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TruePositives:
    """How many members an attack finds that accuses at most a given share of non-members."""

    rate: Estimate
    upper: float
    """One-sided 95 % bound of the rate."""
    false_positives: int
    n: int
    """Members."""
    others: int
    threshold: float
    """What a score must exceed to be called a member's."""
    resolvable: bool
    """False where the non-members are too few to see so small a rate (fewer than 10 / alpha)."""


def true_positives(members: Floats, others: Floats, alpha: float) -> TruePositives:
    """The true-positive rate at the smallest threshold with at most alpha * m false positives.

    Strictly above the threshold counts; nothing is interpolated, and a tie counts against the
    attack. The interval is exact at that threshold.

    Raises:
        ValueError: if a side is empty.
    """
    if not len(members) or not len(others):
        raise ValueError("A rate needs at least one sample on either side.")
    allowed = floor(alpha * len(others) + 1e-9)
    threshold = np.sort(others)[::-1][min(allowed, len(others) - 1)]
    found = int((members > threshold).sum())
    return TruePositives(
        rate=proportion(found, len(members)),
        upper=upper_bound(found, len(members)),
        false_positives=int((others > threshold).sum()),
        n=len(members),
        others=len(others),
        threshold=float(threshold),
        resolvable=len(others) >= 10 / alpha,
    )
