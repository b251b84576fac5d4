"""What the reference pool says of an image: how hard it is, and how sure a model would be of it."""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from workers.evidence import Evidence, References
from workers.signals import comparable, labels, rows
from workers.statistics import Flags, Floats, Ints, auc

LEAST = 2
"""Models of the pool that must not have seen a row, for the row to be tested."""
MISSING = (
    "There is no reference pool that knows enough of these images; build one with "
    "`lethe pool build`, of 8 models."
)
OFFLINE = 0.3
"""RMIA's `a` where it cannot be tuned: the value of its authors for CIFAR-10."""
STRIDE = 7919
"""Odd, so that rows side by side are left with different models."""
GRID = tuple(float(a) for a in np.linspace(0, 1, 11))
TUNED_ON = 4
"""Models of the pool that are attacked to tune `a`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The pool's view of some rows; a model that was trained on a row is never OUT for it."""

    margins: Floats
    """(K, n)."""
    out: Flags
    """(K, n): not trained on the row, and its margin is known."""
    trained: Flags
    """(K, n): trained on the row, and its margin is known."""
    known: Flags
    """(K, n): the margin is known; it was not cut out with a row that was erased."""

    @property
    def hardness(self) -> Floats:
        """(n,): the mean margin of models that never saw the row; low is hard."""
        return self.mean(self.margins)

    @property
    def confidence(self) -> Floats:
        """(n,): the mean probability of the true label, likewise."""
        return self.mean(special.expit(self.margins))

    @property
    def memorised(self) -> Floats:
        """(n,): by how much training on the row raises its margin; NaN where no model was."""
        return _mean(self.margins, self.trained) - self.hardness

    def mean(self, values: Floats) -> Floats:
        """(K, n) -> (n,): over the models that are OUT; NaN where there is none."""
        return _mean(values, self.out)

    def at(self, which: Ints) -> "Pool":
        """The part about these positions."""
        return Pool(**{part.name: getattr(self, part.name)[:, which] for part in fields(self)})

    def set_apart(self, turn: int) -> tuple[Floats, "Pool"]:
        """The margins (n,) of the model that, in its turn, never saw a row; the pool without it."""
        chosen = self.out & (self.out.cumsum(0) == turn + 1)
        return np.where(chosen, self.margins, 0.0).sum(0), replace(self, out=self.out & ~chosen)

    def without(self, k: int) -> "Pool":
        """Nothing is known of what model k says."""
        rest = (np.arange(len(self.out)) != k)[:, None]
        return replace(
            self, out=self.out & rest, trained=self.trained & rest, known=self.known & rest
        )


def _mean(values: Floats, among: Flags) -> Floats:
    count = among.sum(0)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(among, values, 0.0).sum(0) / np.where(count, count, np.nan)
    return found


def view(references: References, chosen: Tensor) -> Pool:
    """What the pool knows of dataset rows (m,); nothing of a row that it was not asked about."""
    at = torch.searchsorted(references.rows, chosen).clamp(max=len(references.rows) - 1)
    margins = references.margins[:, at].double().numpy()
    known = np.isfinite(margins) & (references.rows[at] == chosen).numpy()
    trained = references.trained[:, at].numpy() & known
    return Pool(
        margins=np.where(known, margins, 0.0),
        out=_thinned(known & ~trained, references.rows[at].numpy()),
        trained=trained,
        known=known,
    )


def _thinned(out: Flags, named: Ints) -> Flags:
    """At most half of the models to a row, so that all rows are known equally well.

    A row that no model was trained on has twice as many that never saw it; a mean of more is
    steadier, and that alone would tell such rows apart. Which models are left hangs on the row.
    """
    k = len(out)
    turn = (np.arange(k)[:, None] + named * STRIDE) % k
    order = np.where(out, turn, k).argsort(0, kind="stable").argsort(0, kind="stable")
    thinned: Flags = out & (order < max(1, k // 2))
    return thinned


class Sides(NamedTuple):
    """Forgotten rows and never-trained rows of the same classes that the pool can speak of."""

    ours: Tensor
    others: Tensor


def sides(evidence: Evidence, least: int = LEAST) -> Sides | None:
    """Whom to compare with whom; None without a pool, or where it knows too little of a side."""
    if evidence.references is None or not len(evidence.references.rows):
        return None
    known = [
        chosen[torch.from_numpy(view(evidence.references, chosen).out.sum(0) >= least)]
        for chosen in (rows(evidence, "forget"), rows(evidence, "nonmembers"))
    ]
    bare = replace(evidence, parts={**evidence.parts, "nonmembers": known[1]})
    ours, others = comparable(bare, known[0])
    return Sides(ours, others) if len(ours) else None


class StandIn(NamedTuple):
    """A model put together from the pool: of each row, one that never saw it; `Pool`s without it."""

    ours: Floats
    others: Floats
    our_pool: Pool
    their_pool: Pool


def stand_ins(evidence: Evidence, found: Sides) -> list[StandIn]:
    """What attacks see in models that never saw the images; as many as know every row.

    No matching is perfect: of images that were chosen because they are hard, each is harder than
    those that the pool takes for as hard. What an attack says of these models it says for that
    reason alone, and would say of any model without residue.
    """
    assert evidence.references is not None
    pools = [view(evidence.references, chosen) for chosen in found]
    number = min(int(pool.out.sum(0).min()) for pool in pools)
    parts = [[pool.set_apart(turn) for pool in pools] for turn in range(number)]
    return [StandIn(ours, others, mine, yours) for (ours, mine), (others, yours) in parts]


# ---- RMIA --------------------------------------------------------------------------------------


def rmia(margins: Floats, pool: Pool, a: float) -> Floats:
    """How much surer the model is of each row than a model that never saw it: (n,), in nats.

    log p(x | model) - log p(x), where p(x) = ((1 + a) mean p(x | OUT) + 1 - a) / 2. RMIA counts
    the population's rows that score lower; with its gamma = 1 that is a rank of this number, so
    areas and rates are the same, and there are no ties where the population ends.

    Source: Zarifzadeh et al., "Low-Cost High-Power Membership Inference Attacks", ICML 2024, the
    offline form.
    """
    seldom = ((1 + a) * pool.confidence + 1 - a) / 2
    scored: Floats = special.log_expit(margins) - np.log(np.maximum(seldom, 1e-12))
    return scored


def tuned(evidence: Evidence) -> float:
    """The `a` that best attacks models of the pool by the others, on rows outside of the audit."""
    references = evidence.references
    chosen = rows(evidence, "retain")
    if references is None or not len(chosen):
        return OFFLINE
    pool = view(references, chosen)
    found = [_seen(pool, k) for k in range(min(TUNED_ON, len(pool.margins)))]
    areas = [area for area in found if area is not None]
    return GRID[int(np.argmax(np.mean(areas, 0)))] if areas else OFFLINE


def _seen(pool: Pool, k: int) -> list[float] | None:
    """The areas of an attack on model k for each `a` of the grid; None where it has one side."""
    rest = pool.without(k)
    usable = pool.known[k] & (rest.out.sum(0) >= 1)
    inside, outside = usable & ~pool.out[k], usable & pool.out[k]
    if min(inside.sum(), outside.sum()) < LEAST:
        return None
    areas = []
    for a in GRID:
        scored = rmia(pool.margins[k], rest, a)
        areas.append(auc(scored[inside], scored[outside]).value)
    return areas


# ---- images as hard ----------------------------------------------------------------------------


def strata(evidence: Evidence, found: Sides, most: int, least: int = 10) -> tuple[Ints, Ints]:
    """`bins` of either side: whoever asks to be forgotten may have asked for hard images."""
    assert evidence.references is not None
    ours, others = (view(evidence.references, chosen) for chosen in found)
    own, their = (labels(evidence, chosen).numpy() for chosen in found)
    return bins(ours, others, own, their, most, least)


def bins(
    pool: Pool, others: Pool, ours: Ints, theirs: Ints, most: int, least: int = 10
) -> tuple[Ints, Ints]:
    """Classes, in steps of hardness: as many, up to `most`, as leave `least` of theirs in each."""
    mine, yours = np.zeros(len(ours), np.int64), np.zeros(len(theirs), np.int64)
    for stratum in np.unique(ours):
        here, there = ours == stratum, theirs == stratum
        size = max(1, min(most, int(there.sum()) // least))
        edges = np.quantile(others.hardness[there], np.linspace(0, 1, size + 1)[1:-1])
        mine[here] = stratum * most + np.searchsorted(edges, pool.hardness[here])
        yours[there] = stratum * most + np.searchsorted(edges, others.hardness[there])
    return mine, yours
