"""Pixels that are fetched row by row from afar, kept on disk as far as they fit, and read ahead."""

import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import IO, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.data.ahead import Ahead
from workers.data.records import Pictures

Run = tuple[int, int]
"""Rows of the dataset, from the first up to, not including, the last; all in one shard."""
Fetch = Callable[[Sequence[Run]], Sequence[bytes]]
"""The pixels of such runs of rows, fetched together."""

AT_ONCE = 4096
"""Rows that are fetched together where all of a dataset are wanted."""


class Withdrawn(ValueError):
    """A row was asked for that has been withdrawn: nobody may read it any more."""


@dataclass(slots=True)
class Kept:
    """Rows that have been fetched, in a file without a name: it goes with the process.

    What came first stays, as a run that shows every row once an epoch gains nothing from making
    room for the newest.
    """

    row_bytes: int
    room: int
    """Rows."""
    places: NDArray[np.int64]
    """(N,): where each row of the dataset lies in the file; -1 if it does not."""
    count: int = 0
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Copy what is here of `rows` into (B, row bytes); which ones are missing."""
        places = self.places[rows]
        for number in np.flatnonzero(places >= 0):
            self.file.seek(int(places[number]) * self.row_bytes)
            self.file.readinto(into[number])  # type: ignore[attr-defined]
        missing: NDArray[np.bool_] = places < 0
        return missing

    def add(self, rows: NDArray[np.int64], pixels: NDArray[np.uint8]) -> None:
        """Keep (n, row bytes) of different rows that are not here, as far as there is room."""
        new = min(len(rows), self.room - self.count)
        self.file.seek(self.count * self.row_bytes)
        self.file.write(pixels[:new].tobytes())
        self.places[rows[:new]] = np.arange(self.count, self.count + new)
        self.count += new


class Streamed:
    """Images that do not lie here; what is fetched stays on disk up to a limit."""

    far: ClassVar[bool] = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        ends: Sequence[int],
        fetch: Fetch,
        device: torch.device,
        *,
        withdrawn: Sequence[int] = (),
        cache_bytes: int = 0,
    ) -> None:
        """`ends`: the row after the last one of each shard. `withdrawn`: rows not to be read."""
        self.shape, self.device, self._fetch = shape, device, fetch
        self._ends = np.asarray(ends, np.int64)
        self._row_bytes = prod(shape)
        self._gone = np.zeros(len(self), np.bool_)
        self._gone[list(withdrawn)] = True
        places = np.full(len(self), -1, np.int64)
        self._kept = Kept(self._row_bytes, cache_bytes // self._row_bytes, places)
        weakref.finalize(self, self._kept.file.close)
        self._ahead = Ahead(self._brought)  # its thread alone reads and writes the file

    def __len__(self) -> int:
        return int(self._ends[-1])

    def expect(self, rows: Tensor) -> None:
        """These rows, (B,) int64, are wanted next: fetch them while others are used."""
        self._ahead.expect(rows)

    def gather(self, rows: Tensor) -> Tensor:
        """(B,) int64 rows, on any device -> (B, H, W, C) uint8 on the compute device.

        Raises:
            IndexError: a row is not in the dataset.
            Withdrawn: a row must not be read any more.
        """
        return self._ahead.take(rows).to(self.device, non_blocking=True)

    def everything(self) -> Tensor:
        """(N, H, W, C) uint8 on the compute device; withdrawn rows are black and not fetched."""
        images = torch.zeros((len(self), *self.shape), dtype=torch.uint8, device=self.device)
        for part in torch.from_numpy(np.flatnonzero(~self._gone)).split(AT_ONCE):
            images[part.to(self.device)] = self.gather(part)
        return images

    def _brought(self, wanted: NDArray[np.int64]) -> Tensor:
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"The dataset has {len(self)} rows; others were asked for.")
        if self._gone[wanted].any():
            raise Withdrawn(f"Row {wanted[self._gone[wanted]][0]} has been withdrawn for erasure.")
        distinct, back = np.unique(wanted, return_inverse=True)
        pixels = np.empty((len(distinct), self._row_bytes), np.uint8)
        missing = self._kept.take(distinct, pixels)
        if missing.any():
            pixels[missing] = self._fetched(distinct[missing])
            self._kept.add(distinct[missing], pixels[missing])
        pinned = self.device.type == "cuda"
        batch = torch.empty((len(wanted), *self.shape), dtype=torch.uint8, pin_memory=pinned)
        batch.numpy()[:] = pixels[back].reshape(batch.shape)
        return batch

    def _fetched(self, rows: NDArray[np.int64]) -> Pictures:
        """(n, row bytes) of ascending rows; neighbours in one shard travel together."""
        home = np.searchsorted(self._ends, rows, side="right")
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(home) != 0)) + 1
        runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, breaks)]
        data = b"".join(self._fetch(runs))
        if len(data) != len(rows) * self._row_bytes:
            raise OSError(f"{len(rows)} images came as {len(data)} bytes.")
        return np.frombuffer(data, np.uint8).reshape(len(rows), -1)
