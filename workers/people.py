"""Many images of one person are not as many witnesses: by how much that widens what is said."""

from dataclasses import replace
from math import sqrt
from typing import NamedTuple

import numpy as np
from torch import Tensor

from workers.evidence import Evidence
from workers.inference import Influence, influence
from workers.statistics import Auc, Floats, Ints, TruePositives, auc, proportion


class Pair(NamedTuple):
    """A number for each forgotten image, and for each of those that they are compared with."""

    ours: Ints
    theirs: Ints


class Crowding(NamedTuple):
    """By how much the variance of a mean over either side grows; 1 where each stands alone."""

    ours: float
    theirs: float


def whose(evidence: Evidence, ours: Tensor, theirs: Tensor) -> Pair:
    """The person that each row is about; rows of nobody in particular stand alone."""
    known = evidence.people
    return Pair(*((rows if known is None else known[rows]).numpy() for rows in (ours, theirs)))


def crowding(mine: Floats, yours: Floats, people: Pair) -> Crowding:
    """The design effect of either side, by how alike values of one person are.

    How alike (the intraclass correlation, by moments) is taken from the side where they are more
    so: a single person says nothing of how people differ, but the others do. Where neither side
    can say, all images of a person count as one, unless both sides are of the same people.

    Args:
        mine, yours: (n,), (m,), without what strata differ by; zero on average.

    Source: Kish, "Survey Sampling" (1965), section 5.4; for unequal numbers Gabler, Haeder and
    Lahiri, Survey Methodology 25 (1999).
    """
    found = [_alike(*side) for side in ((mine, people.ours), (yours, people.theirs))]
    known = [each for each in found if each is not None]
    same = set(people.ours.tolist()) <= set(people.theirs.tolist())
    alike = min(1.0, max(0.0, *known)) if known else float(not same)
    return Crowding(*(1 + alike * _mates(side) for side in people))


def _mates(people: Ints) -> float:
    """How many other images of the same person there are, image by image, on average."""
    sizes = np.unique(people, return_counts=True)[1]
    return float((sizes**2).sum() / sizes.sum()) - 1 if len(sizes) else 0.0


def _alike(values: Floats, people: Ints) -> float | None:
    """The correlation of two values of one person; None where there is one, or none has two."""
    found, place = np.unique(people, return_inverse=True)
    mates = _mates(people)
    if len(found) < 2 or mates <= 0:
        return None
    alone = float((values**2).sum())
    together = float((np.bincount(place, values) ** 2).sum()) * len(found) / (len(found) - 1)
    return (together / alone - 1) / mates if alone else 0.0


# ---- areas -------------------------------------------------------------------------------------


def widening(parts: Influence, strata: Pair, people: Pair) -> float:
    """By how much the variance of an area under the curve grows; never less than 1.

    People with images on both sides raise or lower both together, which is no difference.

    Source: Obuchowski, Biometrics 53 (1997), areas of clustered data; `crowding` of either side.
    """
    mine, yours = _centred(parts.members, strata.ours), _centred(parts.others, strata.theirs)
    effect, n, m = crowding(mine, yours, people), len(mine), len(yours)
    ours, theirs = float((mine**2).sum()) / n**2, float((yours**2).sum()) / m**2
    if not ours + theirs:
        return 1.0
    whole = effect.ours * ours + effect.theirs * theirs + 2 * _shared(mine / n, yours / m, people)
    return max(1.0, whole / (ours + theirs))


def _shared(mine: Floats, yours: Floats, people: Pair) -> float:
    """The covariance of both sums, by the people who are on both sides."""
    found, place = np.unique(np.concatenate(people), return_inverse=True)
    ours = np.bincount(place[: len(mine)], mine, len(found))
    return float(ours @ np.bincount(place[len(mine) :], yours, len(found)))


def _centred(values: Floats, strata: Ints) -> Floats:
    """Without the mean of each stratum."""
    _, place = np.unique(strata, return_inverse=True)
    centred: Floats = values - (np.bincount(place, values) / np.bincount(place))[place]
    return centred


def stretched(area: Auc, by: float) -> Auc:
    """The same area, with so many times the variance."""
    return replace(
        area,
        variance=area.variance * by,
        null_variance=area.null_variance * by,
        pairs=max(1, int(area.pairs / by)),
    )


def loosened(parts: Influence, by: float) -> Influence:
    """The same parts, with so many times the variance."""
    members, others = parts.members * sqrt(by), parts.others * sqrt(by)
    return replace(parts, members=members, others=others)


def area(mine: Floats, yours: Floats, strata: Pair, people: Pair) -> Auc:
    """`auc` within strata; images of one person count for less."""
    parts = influence(mine, yours, strata.ours, strata.theirs)
    plain = auc(mine, yours, strata.ours, strata.theirs)
    return stretched(plain, widening(parts, strata, people))


# ---- rates -------------------------------------------------------------------------------------


def thinned(found: TruePositives, mine: Floats, yours: Floats, people: Pair) -> TruePositives:
    """The same rate, found among as many images as those of one person each would be.

    Args:
        mine, yours: the scores that the rate was taken from.

    Source: Korn and Graubard, Survey Methodology 24 (1998), exact intervals of clustered data.
    """
    hits, alarms = (np.float64(scores > found.threshold) for scores in (mine, yours))
    by = crowding(hits - hits.mean(), alarms - alarms.mean(), people)
    n, m = max(1, round(found.n / by.ours)), max(1, round(found.others / by.theirs))
    bounds = proportion(round(found.rate.value * n), n)
    return replace(
        found,
        rate=bounds._replace(value=found.rate.value),
        n=n,
        others=m,
        false_positives=min(m - 1, round(found.false_positives / by.theirs)),
    )
