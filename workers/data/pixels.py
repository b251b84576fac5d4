"""Packed pixels for the workshop: all on the device, or mapped from disk when too many."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.data.ahead import Ahead
from workers.data.records import Pictures
from workers.kinds import Pixels

SHARE_OF_FREE = 0.5
"""How much of the free memory a dataset may take; the rest is for nets and activations."""
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Resident:
    """All images on the compute device."""

    far: ClassVar[bool] = False
    images: Tensor
    """(N, H, W, C) uint8."""

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def gather(self, rows: Tensor) -> Tensor:
        """(B,) int64 rows, on any device -> (B, H, W, C) uint8 on the compute device."""
        return self.images.index_select(0, rows.to(self.images.device))

    def expect(self, rows: Tensor) -> None:
        """Nothing needs to be brought."""


@dataclass(slots=True)
class Mapped:
    """Images in memory-mapped shards; a batch is put together on the host, then copied over."""

    far: ClassVar[bool] = True
    shards: Sequence[Pictures]
    """(n_i, H, W, C) uint8 each, one after the other the rows of the dataset."""
    ends: NDArray[np.int64]
    """(S,): the row after the last one of each shard."""
    device: torch.device
    _ahead: Ahead = field(init=False)

    def __post_init__(self) -> None:
        self._ahead = Ahead(self._brought)

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.shards[0].shape[1:]
        return height, width, channels

    def gather(self, rows: Tensor) -> Tensor:
        """(B,) int64 rows, on any device -> (B, H, W, C) uint8 on the compute device.

        Raises:
            IndexError: a row is not in the dataset.
        """
        return self._ahead.take(rows).to(self.device, non_blocking=True)

    def expect(self, rows: Tensor) -> None:
        """These rows, (B,) int64, are wanted next: read them while others are used."""
        self._ahead.expect(rows)

    def _brought(self, wanted: NDArray[np.int64]) -> Tensor:
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.ends[-1]:
            raise IndexError(f"The dataset has {self.ends[-1]} rows; others were asked for.")
        pinned = self.device.type == "cuda"
        batch = torch.empty((len(wanted), *self.shape), dtype=torch.uint8, pin_memory=pinned)
        home = np.searchsorted(self.ends, wanted, side="right")
        for number in np.unique(home):
            shard, mine = self.shards[number], home == number
            batch.numpy()[mine] = shard[wanted[mine] - (self.ends[number] - len(shard))]
        return batch


def open_pixels(
    shards: Sequence[Path], device: torch.device, budget_bytes: int | None = None
) -> Pixels:
    """The images of these shards, row after row: resident if they fit the budget, else mapped.

    Args:
        shards: .npy files as `packing.pack` writes them, in order.
        device: where batches are wanted.
        budget_bytes: how much device memory they may take; None for half of what is free now.

    Raises:
        ValueError: there are no shards, or they are not uint8 images of one shape.
    """
    mapped = [_mapped(path) for path in shards]
    if len({shard.shape[1:] for shard in mapped}) != 1:
        raise ValueError(f"The {len(mapped)} shards must hold images of one shape.")
    budget = int(free_bytes(device) * SHARE_OF_FREE) if budget_bytes is None else budget_bytes
    ends = np.cumsum([len(shard) for shard in mapped], dtype=np.int64)
    if sum(shard.size for shard in mapped) > budget:
        return Mapped(mapped, ends, device)
    shape = (int(ends[-1]), *mapped[0].shape[1:])
    images = torch.empty(shape, dtype=torch.uint8, device=device)
    for end, shard in zip(ends.tolist(), mapped, strict=True):
        images[end - len(shard) : end] = torch.from_numpy(shard)
    return Resident(images)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on this device now; on the host, within the container's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.exists() and (said := limit.read_text().strip()) != "max":
        free = min(free, int(said) - int(used.read_text()))
    return max(free, 0)


def _mapped(path: Path) -> Pictures:
    """A shard as an array over its file; mapped by torch, as NumPy's map keeps the file open."""
    header = np.load(path, mmap_mode="r", allow_pickle=False)
    if header.dtype != np.uint8 or header.ndim != 4 or not header.flags.c_contiguous:
        raise ValueError(f"The shard {path.name} holds {header.dtype} {header.shape}, no images.")
    whole = torch.from_file(
        str(path), shared=False, size=header.offset + header.size, dtype=torch.uint8
    )
    pixels: Pictures = whole[header.offset :].view(header.shape).numpy()
    return pixels
