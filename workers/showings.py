"""What shadows say of the rows that were planted in them, one by one and beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from workers.statistics import Floats, Ints

MEDIA = "application/vnd.lethe.shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What one shadow says of its planted rows, before it forgets and afterwards."""

    rows: Tensor
    """(n,) int64, ascending."""
    roles: Tensor
    """(n,) int64, of `Role`."""
    labels: Tensor
    """(n,) int64: what it was taught."""
    before: Tensor
    """(n,) float64: logit margin of that label, nats."""
    after: Tensor
    right_before: Tensor
    """(n,) bool: is that label the prediction?"""
    right_after: Tensor

    def of(self, which: Tensor) -> "Showing":
        """The part about these positions, (m,) int64 or an (n,) bool mask."""
        return Showing(**{name: getattr(self, name)[which] for name in self.__slots__})


def dump(showing: Showing) -> bytes:
    """A showing as safetensors; the same one gives the same bytes."""
    return save({name: getattr(showing, name).contiguous() for name in showing.__slots__})


def read(data: bytes) -> Showing:
    """What `dump` wrote."""
    return Showing(**load(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All shadows beside each other: (N, n) each, a line a shadow."""

    roles: Ints
    before: Floats
    after: Floats


def table(showings: Sequence[Showing], gone: Tensor) -> Table:
    """The rows that every shadow speaks of, less those that somebody has had forgotten meanwhile.

    Args:
        showings: in the order of their numbers. gone: (m,) int64 rows.
    """
    common = showings[0].rows
    for each in showings[1:]:
        common = common[torch.isin(common, each.rows)]
    common = common[~torch.isin(common, gone)]
    ours = [each.of(torch.isin(each.rows, common)) for each in showings]
    return Table(
        roles=torch.stack([each.roles for each in ours]).numpy(),
        before=_levelled(torch.stack([each.before for each in ours])),
        after=_levelled(torch.stack([each.after for each in ours])),
    )


def _levelled(margins: Tensor) -> Floats:
    """Less the mean of each shadow, over rows of all parts: how sure a whole net is tells nothing."""
    values = margins.double().numpy()
    found: Floats = values - values.mean(1, keepdims=True)
    return found
