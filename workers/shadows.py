"""What an attacker makes of the margins of planted rows who knows other shadows. All float64."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import special, stats

from workers.roles import BLOCK, Role
from workers.statistics import Estimate, Flags, Floats, Ints, placements

TINY = 1e-6
"""Nats: margins that agree to the last digit still have some spread."""


def attack(margins: Floats, members: Flags, others: Flags) -> Floats:
    """How much more likely a margin is in a member than in a row never trained on, in nats: (N, n).

    Each row has its own mean in either part, by the shadows of all *other* blocks; of those each
    row has seen both parts equally often, so that exchanging the parts of a shadow exchanges the
    scores, and a net that never saw the members gives an area of one half on average. What few
    shadows say of a single row is drawn towards what all rows say (empirical Bayes); the spread is
    one for all rows.

    Args:
        margins: (N, n); members, others: (N, n), the parts; other rows are passed over.

    Source: U-LiRA, Hayes et al., arXiv:2403.01218, after Carlini et al., "LiRA", S&P 2022, with its
    global variance for few shadows. The shrinkage (Efron and Morris, J. American Statistical
    Association 68 (1973)) and the blocks are our own.
    """
    scores = np.empty_like(margins)
    for here in _blocks(len(margins)):
        mean, spread, count = _known(margins[~here], members[~here])
        usual, usual_spread, usual_count = _known(margins[~here], others[~here])
        noise = spread**2 / count + usual_spread**2 / usual_count
        shift = _shrunk(mean - usual, noise)
        scores[here] = stats.norm.logpdf(
            margins[here], usual + shift, spread * np.sqrt(1 + 1 / count)
        ) - stats.norm.logpdf(margins[here], usual, usual_spread * np.sqrt(1 + 1 / usual_count))
    return scores


def memorised(margins: Floats, members: Flags, others: Flags) -> Floats:
    """By how much training raises a row's margin, by the shadows of all other blocks: (N, n)."""
    found = np.empty_like(margins)
    for here in _blocks(len(margins)):
        mean, _, _ = _known(margins[~here], members[~here])
        usual, _, _ = _known(margins[~here], others[~here])
        found[here] = mean - usual
    return found


def _blocks(n: int) -> Iterator[Flags]:
    """For each block, which of n shadows are its own."""
    return (np.arange(n) // BLOCK == number for number in range(n // BLOCK))


def _known(margins: Floats, part: Flags) -> tuple[Floats, float, Floats]:
    """Of each row in a part: its mean (n,), the spread around it over all rows, its count (n,)."""
    count = part.sum(0).astype(np.float64)
    mean: Floats = np.where(part, margins, 0.0).sum(0) / count
    freedom = float((count - 1).sum())
    spread = sqrt(float((np.where(part, margins - mean, 0.0) ** 2).sum()) / freedom)
    return mean, max(spread, TINY), count


def _shrunk(shift: Floats, noise: Floats) -> Floats:
    overall = float(shift.mean())
    real = max(0.0, float(shift.var(ddof=1)) - float(noise.mean()))
    found: Floats = overall + real / (real + noise) * (shift - overall)
    return found


# ---- how well it does --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The area under an attack's curve, a mean over shadows."""

    value: float
    variance: float
    shadows: int
    rows: int

    def reach(self, confidence: float) -> float:
        """Standard errors on either side of an interval: Student's t, for shadows are few."""
        return float(stats.t.ppf((1 + confidence) / 2, self.shadows - 1))

    def interval(self, confidence: float = 0.95) -> Estimate:
        """The interval on the logit scale; half a row is counted as undecided on either side."""
        least = 1 / (2 * self.rows)
        value = min(max(self.value, least), 1 - least)
        spread = sqrt(max(self.variance, least**2)) / (value * (1 - value))
        middle, reach = special.logit(value), self.reach(confidence) * spread
        return Estimate(
            self.value, float(special.expit(middle - reach)), float(special.expit(middle + reach))
        )


def area(scores: Floats, members: Flags, others: Flags) -> Area:
    """The mean of the areas of each shadow, in which members meet only others of the same shadow.

    The same rows come again in other shadows, and shadows lend one another their references; so
    rows are counted as clusters, and what shadows differ by beyond that comes on top.

    Args:
        scores, members, others: (N, n).

    Raises:
        ValueError: if a shadow has no members or no others.

    Source: the placements of DeLong et al., Biometrics 44 (1988), summed by cluster as by
    Obuchowski, Biometrics 53 (1997); two ways of clustering, Cameron, Gelbach and Miller, J. Business
    & Economic Statistics 29 (2011).
    """
    n, areas, cells = len(scores), np.empty(len(scores)), np.zeros_like(scores)
    for s in range(n):
        ours, theirs = scores[s, members[s]], scores[s, others[s]]
        if not len(ours) or not len(theirs):
            raise ValueError("The area under the curve needs members and others in each shadow.")
        placed, away = placements(ours, theirs), 1 - placements(theirs, ours)
        areas[s] = placed.mean()
        cells[s, members[s]] = (placed - areas[s]) / (n * len(ours))
        cells[s, others[s]] = (away - areas[s]) / (n * len(theirs))
    by_row = float((cells.sum(0) ** 2).sum())
    by_shadow = float(areas.var(ddof=1)) / n - float((cells**2).sum())
    return Area(
        value=float(areas.mean()),
        variance=by_row + max(0.0, by_shadow),
        shadows=n,
        rows=int((members | others).any(0).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How many members an attack finds that accuses at most a share of the others."""

    rate: float
    sure: float
    """As many members as would, independently drawn, say as much."""
    others: int

    def bounds(self, confidence: float) -> tuple[float, float]:
        """The one-sided exact bounds of the rate.

        Source: Clopper and Pearson, Biometrika 26 (1934), with the effective number of samples of
        Korn and Graubard, Survey Methodology 24 (1998).
        """
        hits, misses = self.rate * self.sure, (1 - self.rate) * self.sure
        low = float(stats.beta.ppf(1 - confidence, hits, misses + 1)) if hits else 0.0
        high = float(stats.beta.ppf(confidence, hits + 1, misses)) if misses else 1.0
        return low, high


def found(scores: Floats, members: Flags, others: Flags, alpha: float) -> Found:
    """The share of members above the smallest threshold that at most `alpha` of the others exceed.

    One threshold for all shadows; ties count against the attack. Rows are clusters.
    """
    accused = scores[others]
    threshold = np.sort(accused)[::-1][min(int(alpha * len(accused) + 1e-9), len(accused) - 1)]
    hits = (scores > threshold) & members
    shown, total = members.sum(0), int(members.sum())
    rate, rows = float(hits.sum()) / total, int((shown > 0).sum())
    variance = float(((hits.sum(0) - rate * shown) ** 2).sum()) / total**2
    sure = rate * (1 - rate) / variance if variance else float(rows)
    return Found(rate=rate, sure=min(float(total), max(1.0, sure)), others=len(accused))


def differences(margins: Floats, roles: Ints) -> Floats:
    """Of each row, the chance of so large a difference between UNLEARN and OUT: p-values, (n,).

    Student's t with equal variances, two-sided; all shadows are asked, a third of them in each part.
    """
    parts = [
        margins.T[(roles == part).T].reshape(margins.shape[1], -1)
        for part in (Role.UNLEARN, Role.OUT)
    ]
    p_values: Floats = stats.ttest_ind(parts[0], parts[1], axis=1).pvalue
    return np.nan_to_num(p_values, nan=1.0)
