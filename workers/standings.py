"""How far a margin lies from those of models that never saw the row, in deviations."""

import numpy as np
from scipy import special, stats

from workers.references import Pool
from workers.statistics import Floats, Ints


def standing(margins: Floats, pool: Pool) -> Floats:
    """How many deviations each margin lies from those of models that never saw the row: (n,).

    The deviation of few models is drawn towards that of all rows, as a normal-inverse-gamma prior
    fitted to the pool does. At least two models must be OUT for each row.

    Source: BaVarIA, arXiv:2603.11799 (its Student-t form); the prior after Smyth, Statistical
    Applications in Genetics and Molecular Biology 3 (2004).
    """
    count = pool.out.sum(0)
    centre = pool.mean(pool.margins)
    variance = pool.mean((pool.margins - centre) ** 2) * count / (count - 1)
    freedom, usual = _prior(variance, count - 1)
    settled = (freedom * usual + (count - 1) * variance) / (freedom + count - 1)
    found: Floats = (margins - centre) / np.sqrt(settled * (1 + 1 / count))
    return found


def _prior(variance: Floats, freedom: Ints) -> tuple[float, float]:
    """Degrees of freedom and value of the variance that all rows share, by moments of its log."""
    logs = np.log(np.maximum(variance, 1e-12)) - special.digamma(freedom / 2) + np.log(freedom / 2)
    left = float(np.var(logs) - special.polygamma(1, freedom / 2).mean())
    degrees = 2 * _inverse_trigamma(left) if left > 1e-3 else 1e3
    shift = float(special.digamma(degrees / 2) - np.log(degrees / 2))
    return degrees, float(np.exp(logs.mean() + shift))


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value, by Newton's steps on 1 / trigamma (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(20):
        here = float(special.polygamma(1, x))
        x += here * (1 - here / value) / float(special.polygamma(2, x))
    return x


def levelled(found: Floats, others: Floats, ours: Ints, theirs: Ints) -> tuple[Floats, Floats]:
    """Standings in units of the never-trained rows of the same stratum: zero in the middle.

    A model trained on more data than the pool's is surer of everything; that is no membership.
    Never-trained rows of a stratum without any of ours are left out.
    """
    mine, yours = np.empty(len(found)), np.empty(len(others))
    for stratum in np.unique(ours):
        here, there = ours == stratum, theirs == stratum
        middle = np.median(others[there])
        spread = float(stats.median_abs_deviation(others[there], scale="normal")) or 1.0
        mine[here] = (found[here] - middle) / spread
        yours[there] = (others[there] - middle) / spread
    return mine, yours[np.isin(theirs, ours)]
