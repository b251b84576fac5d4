"""Never-trained images that an attempt is judged on: fresh ones each time, while there are any."""

import hmac
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 5
"""Slices that a hold-out is cut into, at most."""
BESIDE = 5
"""Never-trained images of its class for each forgotten one: more make an interval hardly narrower
(at most by a tenth)."""
LEAST, LEAST_OF_MANY, MANY = 1200, 11_000, 1000
"""Images of a slice, on average: enough, though slices differ, to resolve 1 % false accusations; from
`MANY` forgotten images on, 0.1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the never-trained images."""

    rows: Tensor
    """(m,) int64, ascending."""
    number: int
    """From 1 to `of`."""
    of: int
    reused: bool
    """An earlier attempt has been judged on them."""

    def told(self) -> dict[str, int | bool]:
        """As a report has it."""
        return {"number": self.number, "of": self.of, "reused": self.reused}


def fresh(
    unseen: Tensor, forget: Tensor, labels: Tensor, people: Tensor, *, attempt: int, key: bytes
) -> Slice:
    """The slice for an attempt. Once all slices have been used, the first comes round again.

    A keyed hash of whom an image is of decides on its slice, so nobody can choose, nothing has to
    be written down, and a person's images stay together.

    Args:
        unseen: (m,) int64 rows of never-trained images. forget: (n,) int64 rows of D_f.
        labels, people: (N,) int64 over all rows: the class, and a number for the person.
        attempt: how often the request was audited, this time included.
        key: no other dataset may have the same.
    """
    count = _count(labels[unseen], labels[forget])
    number, rows = (attempt - 1) % count, unseen
    if count > 1:
        whose, place = people[unseen].unique(return_inverse=True)
        drawn = torch.tensor([_drawn(person, key) % count for person in whose.tolist()])
        rows = unseen[drawn[place] == number]
    return Slice(rows=rows, number=number + 1, of=count, reused=attempt > count)


def _count(unseen: Tensor, forget: Tensor) -> int:
    """As many slices as leave enough in each, of each class that was forgotten; at least one."""
    ours = torch.bincount(forget, minlength=int(unseen.max()) + 1 if len(unseen) else 1)
    theirs = torch.bincount(unseen, minlength=len(ours))
    asked = (ours > 0) & (theirs > 0)
    if not asked.any():
        return 1
    n, m = ours[asked], theirs[asked]
    least = LEAST_OF_MANY if n.sum() >= MANY else LEAST
    return max(1, min(MOST, int(m.sum()) // least, int((m // (BESIDE * n)).min())))


def _drawn(person: int, key: bytes) -> int:
    return int.from_bytes(hmac.digest(key, b"slice %d" % person, "sha256")[:8], "big")
