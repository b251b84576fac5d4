"""The shards of a dataset in an object store, as the store names them now."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from uuid import UUID

import numpy as np
import torch

from models_store import datasets
from models_store.objects import Objects, Span
from models_store.store import Store
from models_store.tables import Dataset, Shard
from workers.data.pixels import SHARE_OF_FREE, Resident, free_bytes
from workers.data.streamed import Run, Streamed
from workers.kinds import Pixels


@dataclass(slots=True)
class Remote:
    """Reads runs of rows; an erase job may put another object in a shard's place meanwhile."""

    store: Store
    objects: Objects
    dataset_id: UUID
    shape: tuple[int, int, int] = field(init=False)
    shards: Sequence[Shard] = field(init=False)
    sizes: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._look()

    @property
    def ends(self) -> list[int]:
        """The row after the last one of each shard."""
        return [shard.first + shard.count for shard in self.shards]

    def fetch(self, runs: Sequence[Run]) -> Sequence[bytes]:
        """The pixels of these runs of rows. Raises `ObjectsAway`, FileNotFoundError."""
        try:
            return self.objects.read(self._spans(runs))
        except FileNotFoundError:
            self._look()
            return self.objects.read(self._spans(runs))

    def _look(self) -> None:
        with self.store.read() as db:
            height, width, channels = db.get_one(Dataset, self.dataset_id).shape
            self.shards = datasets.shards(db, self.dataset_id)
            self.sizes = datasets.sizes(db, self.dataset_id)
        self.shape = (height, width, channels)

    def _spans(self, runs: Sequence[Run]) -> list[Span]:
        """Pixels are the end of a shard's file, in the order of its rows."""
        homes = np.searchsorted(self.ends, [first for first, _ in runs], side="right")
        spans, each = list[Span](), prod(self.shape)
        for (first, last), home in zip(runs, homes.tolist(), strict=True):
            shard = self.shards[home]
            begin = self.sizes[shard.digest] - (shard.count + shard.first) * each
            spans.append(Span(shard.digest, begin + first * each, begin + last * each))
        return spans


def open_remote(
    store: Store,
    objects: Objects,
    dataset_id: UUID,
    device: torch.device,
    withdrawn: Sequence[int],
    budget_bytes: int | None = None,
) -> Pixels:
    """The images of a dataset in the object store: resident if they fit the budget, else streamed.

    Args:
        withdrawn: rows that must not be read, not even on the way.
        budget_bytes: how much device memory they may take; None for half of what is free now.
    """
    remote = Remote(store, objects, dataset_id)
    streamed = Streamed(
        remote.shape,
        remote.ends,
        remote.fetch,
        device,
        withdrawn=withdrawn,
        cache_bytes=store.settings.shard_cache,
    )
    budget = int(free_bytes(device) * SHARE_OF_FREE) if budget_bytes is None else budget_bytes
    if len(streamed) * prod(remote.shape) > budget:
        return streamed
    return Resident(streamed.everything())
