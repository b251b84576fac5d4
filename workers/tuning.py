"""Finds parameters of a method for one net: a few tries in rehearsal, the same number for each method."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from itertools import product
from time import perf_counter
from typing import Any

import torch
from torch import nn

from workers.kinds import Given, Method, Steps
from workers.rehearsal import KEPT, Figures, Rehearsal, figures, gap, given, target

BUDGET = 6
"""Tries of a method, its defaults among them."""
CLEARLY = 0.01
"""So much nearer must a try be than the defaults: figures of a few hundred images vary by it."""
RUINED = 0.1
"""So much accuracy must not be lost: on unseen images or, without any, on retained ones that the method
was not shown. Those suffer from every method that learns the retain set anew, and whole as it is."""

Drive = Callable[[Steps], float]
"""Carries a run out; the seconds that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One evaluation."""

    params: dict[str, Any] = field(default_factory=dict)
    """What differs from the method's defaults."""
    figures: Figures
    gap: float
    """The mean distance of the figures from their targets; the smaller the better."""
    seconds: float


def candidates(kind: type[Method], seed: int = 0, budget: int = BUDGET) -> list[dict[str, Any]]:
    """What is tried: the method's defaults, {}, then others of its `space`, `budget` in all.

    Each says what differs from the defaults. Of a larger space `seed` draws which are tried.
    """
    default = {each.name: each.default for each in fields(kind)}  # type: ignore[arg-type]
    grid = [dict(zip(kind.space, values, strict=True)) for values in product(*kind.space.values())]
    told = [{name: v for name, v in each.items() if v != default[name]} for each in grid]
    others = [each for each in told if each]
    drawn = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))
    return [{}, *(others[place] for place in sorted(drawn[: budget - 1].tolist()))]


def halved(method: Method) -> Method:
    """The same with half the epochs and updates, where it has epochs at all."""
    known = {each.name for each in fields(method)}  # type: ignore[arg-type] # all are dataclasses
    names = known & {"epochs", "steps"} if "epochs" in known else ()
    shorter = {name: (getattr(method, name) + 1) // 2 for name in names}
    return replace(method, **shorter)  # type: ignore[type-var]


def announced(kind: type[Method]) -> dict[str, Any]:
    """By what a tuning is priced before it begins.

    How many `tries`; the `params` by which each is shorter than the defaults; and the share of what
    is retained that the method is `shown`.
    """
    usual, shorter = kind(), halved(kind())
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    told = {name: (getattr(usual, name), getattr(shorter, name)) for name in names}
    params = {name: less for name, (whole, less) in told.items() if less != whole}
    return {"tries": len(candidates(kind)), "params": params, "shown": 1 - KEPT}


def trial(
    kind: type[Method],
    params: Mapping[str, Any],
    base: nn.Module,
    rehearsed: Rehearsal,
    wanted: Figures,
    asked: Given,
    drive: Drive,
) -> Trial:
    """Rehearse once, at half the epochs. `base` stays as it is.

    Args:
        asked: what `given` returns, and `resume` where a run goes on.
    """
    model, method, since = deepcopy(base), halved(kind(**params)), perf_counter()
    asked = replace(asked, prepared=method.prepare(model, asked))
    seconds = perf_counter() - since + drive(method.unlearn(model, asked))
    found = figures(model, rehearsed, asked.precision)
    return Trial(params=dict(params), figures=found, gap=gap(found, wanted), seconds=seconds)


def search(
    kind: type[Method],
    base: nn.Module,
    rehearsed: Rehearsal,
    asked: Given,
    *,
    references: Sequence[nn.Module] = (),
    budget: int = BUDGET,
) -> Iterator[Trial]:
    """Try all candidates, one after the other; then `best` tells which to take.

    Args:
        asked: `fresh`, `classes`, `recipe`, `updates` and `precision` count; the sets are those
            of the rehearsal.
        references: nets that were trained without the forget set.
    """
    wanted = target(base, rehearsed, references, asked.precision)
    for params in candidates(kind, rehearsed.seed, budget):
        fresh = given(asked, rehearsed)
        yield trial(kind, params, base, rehearsed, wanted, fresh, exhausted)


def best(tried: Sequence[Figures], wanted: Figures) -> int:
    """Which try is the best: the one with the smallest gap, if it is clearly nearer than the first.

    The first are the defaults, and what another seed or other images would turn around is no reason
    to leave them. A net that no longer knows what it should keep is never taken, however well it
    has forgotten.
    """
    gaps = [gap(found, wanted) for found in tried]
    kept = "unseen" if "unseen" in wanted else "retain"
    whole = [n for n, found in enumerate(tried) if wanted[kept] - found[kept] <= RUINED]
    nearest = min(whole, key=lambda number: gaps[number], default=0)
    return nearest if gaps[nearest] < gaps[0] - CLEARLY else 0


def exhausted(steps: Steps) -> float:
    """Run to the end; the seconds that it took."""
    since = perf_counter()
    for _ in steps:
        pass
    return perf_counter() - since
