"""Several processes at one run: each learns from its share of a batch, and gradients are averaged.

All of them do the same, with the same random numbers, and so hold the same net at every step. Where
there is one process, which is the rule, nothing here does anything.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, distributed, nn

from workers.batches import Batch
from workers.modes import norms


def size() -> int:
    """How many processes there are."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def share(batch: Batch) -> Batch:
    """What this process learns of a batch: as many images of the main set, and beside it, as each.

    A loss that is made of means over either then has the mean of all as its value for the whole
    batch. One that cannot be cut evenly, or would leave single images, everybody learns whole.
    """
    count, mine, theirs = size(), len(batch.which), len(batch.beside)
    if count == 1 or mine % count or theirs % count or mine + theirs < 2 * count:
        return batch
    rank = distributed.get_rank()
    ours, others = _part(0, mine, rank, count), _part(mine, theirs, rank, count)
    return replace(
        batch,
        images=torch.cat([batch.images[ours], batch.images[others]]),
        labels=torch.cat([batch.labels[ours], batch.labels[others]]),
        which=batch.which[_part(0, mine, rank, count)],
        beside=batch.beside[_part(0, theirs, rank, count)],
        seed=batch.seed + rank,
    )


def _part(start: int, length: int, rank: int, count: int) -> slice:
    return slice(start + rank * length // count, start + (rank + 1) * length // count)


def mean(value: Tensor) -> Tensor:
    """The mean of this number over all processes."""
    if size() > 1:
        value = value.clone()
        _average([value])
    return value


def average(weights: Sequence[nn.Parameter]) -> None:
    """Put the mean over all processes in the place of each gradient."""
    if size() > 1:
        _average([weight.grad for weight in weights if weight.grad is not None])


def average_statistics(model: nn.Module) -> None:
    """The same for the running statistics of BatchNorm layers that each batch moves."""
    if size() > 1:
        moved = [layer for layer in norms(model) if layer.training]
        held = [(layer.running_mean, layer.running_var) for layer in moved]
        _average([value for both in held for value in both if value is not None])


def _average(values: Sequence[Tensor]) -> None:
    """In one message, as a small one takes nearly as long as a large one."""
    if not values:
        return
    flat = torch.cat([value.reshape(-1) for value in values])
    distributed.all_reduce(flat)
    flat /= size()
    for value, part in zip(values, flat.split([v.numel() for v in values]), strict=True):
        value.copy_(part.view(value.shape))
