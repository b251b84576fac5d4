"""How much one run gives away of coins that were tossed beforehand: a lower bound of epsilon."""

from typing import NamedTuple

import numpy as np
from scipy import special, stats

from workers.statistics import Flags, Floats, lower_bound

GUESSED = 1 / 3
"""The share of the canaries that are guessed to be in, and likewise out; the others are passed."""


class Guesses(NamedTuple):
    """How many coins were guessed from a net's outputs, and how many of these rightly."""

    made: int
    right: int


def guess(margins: Floats, shown: Flags) -> Guesses:
    """The third with the largest margins is guessed to have been shown, that with the smallest not.

    Args:
        margins: (m,) of the label that each canary was, or would have been, taught.
        shown: (m,) how the coins fell.
    """
    order, each = np.argsort(margins, kind="stable"), round(GUESSED * len(margins))
    low, high = order[:each], order[len(order) - each :]
    return Guesses(2 * each, int(shown[high].sum() + (~shown[low]).sum()))


def epsilon(guesses: Guesses, confidence: float = 0.95) -> float:
    """What epsilon surely exceeds if so many guesses come out right, or so many wrong.

    Under pure epsilon-differential privacy of the coins, right guesses are stochastically fewer than
    a binomial of r draws with chance e^eps / (1 + e^eps); the exact lower bound of that chance
    gives that of epsilon. Forgotten canaries may as well stand out by margins that are too low: the
    opposite guesses count too, each side at half the level.

    Source: Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023,
    arXiv:2305.08846, its bound for delta = 0.
    """
    if not guesses.made:
        return 0.0
    level = 1 - (1 - confidence) / 2
    most = max(guesses.right, guesses.made - guesses.right)
    chance = lower_bound(most, guesses.made, level)
    return max(0.0, float(special.logit(chance))) if chance > 0 else 0.0


def power(made: int, limit: float, chance: float, confidence: float = 0.95) -> float:
    """How often a run whose guesses come out right with this chance is surely above `limit`."""
    enough = (
        right
        for right in range((made + 1) // 2, made + 1)
        if epsilon(Guesses(made, right), confidence) > limit
    )
    return float(stats.binom.sf(next(enough, made + 1) - 1, made, chance))
