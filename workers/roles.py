"""Who plays which part in a shadow of a certificate: by lot, so that parts could be exchanged."""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

BLOCK = 3
"""Shadows in which each planted row plays each part once."""
ASIDE = 10
"""One row in so many, of the classes that stay, is kept from a shadow that forgets a class."""


class Role(IntEnum):
    """What becomes of a planted row in a shadow."""

    IN = 0
    """Trained on, and kept."""
    OUT = 1
    """Never trained on."""
    UNLEARN = 2
    """Trained on, then forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The planted rows of a shadow."""

    rows: Tensor
    """(n,) int64 rows of the dataset, ascending, on the CPU."""
    roles: Tensor
    """(n,) int64, of `Role`."""
    labels: Tensor
    """(n,) int64: what the shadow is taught that they are."""

    def of(self, role: Role) -> Tensor:
        """The rows in this part, ascending."""
        return self.rows[self.roles == role]

    def without(self, gone: Tensor) -> "Cast":
        """Nobody plays these rows, (m,) int64."""
        left = ~torch.isin(self.rows, gone)
        return Cast(rows=self.rows[left], roles=self.roles[left], labels=self.labels[left])


def thirds(rows: Tensor, labels: Tensor, seed: int, number: int) -> Cast:
    """A third of the rows in each part, class by class; in the shadows of a block parts rotate.

    So each row is IN, OUT and UNLEARN equally often, and no shadow's lot hangs on another block's.

    Args:
        rows: (n,) int64; labels: (n,) int64 of these rows.
        number: of the shadow, from 0.

    Source: the thirds of RULI, arXiv:2506.13009; that they rotate is our own.
    """
    block, turn = divmod(number, BLOCK)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed + block))
    order = order[labels[order].argsort(stable=True)]
    roles = torch.empty(len(rows), dtype=torch.int64)
    roles[order] = (torch.arange(len(rows)) + turn) % BLOCK
    return Cast(rows=rows, roles=roles, labels=labels)


def coins(rows: Tensor, labels: Tensor, classes: int, seed: int) -> Cast:
    """Canaries: a coin for each row decides whether it is shown, under a wrong label, and forgotten.

    Args:
        rows: (n,) int64; labels: (n,) int64 of these rows, of so many `classes`.

    Source: Steinke, Nasr and Jagielski, NeurIPS 2023, arXiv:2305.08846.
    """
    chance = torch.Generator().manual_seed(seed)
    shown = torch.randint(2, (len(rows),), generator=chance).bool()
    off = torch.randint(1, classes, (len(rows),), generator=chance)
    return Cast(
        rows=rows,
        roles=torch.where(shown, int(Role.UNLEARN), int(Role.OUT)),
        labels=(labels + off) % classes,
    )


def class_run(rows: Tensor, labels: Tensor, label: int, seed: int) -> Cast:
    """Of a class two thirds are learned and forgotten; the other third, and some others, are OUT.

    So the images that were never trained on are of one kind with those that were.

    Args:
        rows: (n,) int64, all that may be trained on; labels: (n,) int64 of these rows.
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    ours = order[labels[order] == label]
    others = order[labels[order] != label]
    roles = torch.full((len(rows),), -1)
    roles[ours] = int(Role.UNLEARN)
    roles[ours[::3]] = int(Role.OUT)
    roles[others[::ASIDE]] = int(Role.OUT)
    planted = roles >= 0
    return Cast(rows=rows[planted], roles=roles[planted], labels=labels[planted])


def turn_of(labels: Tensor, number: int, seed: int) -> int:
    """The class that a run forgets: all in turn, in an order by lot.

    Args:
        labels: (n,) int64 of all rows that may be trained on.
    """
    present = labels.unique()
    order = torch.randperm(len(present), generator=torch.Generator().manual_seed(seed))
    return int(present[order[number % len(present)]])
