"""Shadows out of thin air: margins by a law of which the truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers import roles
from workers.roles import Cast, Role
from workers.showings import Showing

CLASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """Margins: how hard a row is, what training on it adds, and what of that forgetting leaves."""

    memorised: float = 3.0
    """Nats that training on a row adds on average; some rows take more."""
    left: float = 0.0
    """The share of it that forgetting leaves; below 0 forgotten rows are pushed away."""
    damage: float = 0.0
    """The share of rows that a net gets wrong afterwards that it got right before."""


def samples(law: Law, seed: int, size: int = 40, shadows: int = 12) -> list[Showing]:
    """Shadows that forget so many rows each."""
    chance = torch.Generator().manual_seed(seed)
    rows = 2 * torch.arange(3 * size)
    labels = torch.arange(3 * size) % CLASSES
    hard, taken = _rows(law, len(rows), chance)
    return [
        _said(roles.thirds(rows, labels, seed, number), hard, taken, law, chance)
        for number in range(shadows)
    ]


def canary(law: Law, seed: int, count: int = 80) -> Showing:
    """A run with canaries, of which each is learned by heart."""
    chance = torch.Generator().manual_seed(seed)
    rows = torch.arange(count)
    cast = roles.coins(rows, rows % CLASSES, CLASSES, seed)
    hard = torch.full((count,), -4.0, dtype=torch.float64)
    return _said(cast, hard, torch.full_like(hard, 2 * law.memorised), law, chance)


def classes(law: Law, seed: int, runs: int = 6, size: int = 300) -> list[tuple[Showing, Showing]]:
    """Runs that forget a class of so many rows, each beside a retrained net."""
    found = []
    for number in range(runs):
        chance = torch.Generator().manual_seed(100 * seed + number)
        rows = torch.arange(size * CLASSES)
        labels = rows % CLASSES
        cast = roles.class_run(rows, labels, number % CLASSES, seed + number)
        hard, taken = _rows(law, len(cast.rows), chance)
        gone = cast.labels == number % CLASSES
        shadow = _said(cast, hard, taken, law, chance)
        twin = _said(cast, hard, taken, Law(memorised=0.0), chance)
        found.append((_forgotten(shadow, gone), _forgotten(twin, gone)))
    return found


def _forgotten(showing: Showing, gone: Tensor) -> Showing:
    """The class is recognised no more, whatever is left in the margins."""
    told = {name: getattr(showing, name) for name in Showing.__slots__}
    return Showing(**(told | {"right_after": showing.right_after & ~gone}))


def _rows(law: Law, count: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    hard = 2 * torch.randn(count, generator=chance, dtype=torch.float64)
    more = torch.rand(count, generator=chance, dtype=torch.float64)
    return hard, 2 * law.memorised * more


def _said(cast: Cast, hard: Tensor, taken: Tensor, law: Law, chance: torch.Generator) -> Showing:
    def noise() -> Tensor:
        whole = torch.randn((), generator=chance, dtype=torch.float64)
        return whole + torch.randn(len(hard), generator=chance, dtype=torch.float64)

    learned, kept = cast.roles != int(Role.OUT), cast.roles == int(Role.IN)
    unlearned = cast.roles == int(Role.UNLEARN)
    wrong = torch.rand(len(hard), generator=chance) < law.damage
    return Showing(
        rows=cast.rows,
        roles=cast.roles,
        labels=cast.labels,
        before=hard + taken * learned + noise(),
        after=hard + taken * (kept + law.left * unlearned) + noise(),
        right_before=torch.ones(len(hard), dtype=torch.bool),
        right_after=~wrong,
    )


def verdicts(findings: Sequence[object]) -> dict[str, object]:
    """By test."""
    return {found.test: found.verdict for found in findings}  # type: ignore[attr-defined]
