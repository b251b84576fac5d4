"""Batches on their way: a thread puts the next ones together while others are used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

FORESEEN = 2
"""Batches that are put together before they are asked for: of the main set, and of that beside it.
No more of them are held in memory."""

Bring = Callable[[NDArray[np.int64]], Tensor]
"""(B,) rows -> (B, H, W, C) uint8 on the host."""


class Ahead:
    """Brings batches, in one thread of its own, foreseen or not."""

    def __init__(self, bring: Bring) -> None:
        self._bring = bring
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._coming: dict[bytes, Future[Tensor]] = {}

    def expect(self, rows: Tensor) -> None:
        """These rows, (B,) int64, are wanted next."""
        wanted = rows.cpu().numpy()
        if len(wanted) and len(self._coming) < FORESEEN:
            self._coming[wanted.tobytes()] = self._pool.submit(self._bring, wanted)

    def take(self, rows: Tensor) -> Tensor:
        """The batch of these rows, (B,) int64; raises what `bring` raises."""
        wanted = rows.cpu().numpy()
        coming = self._coming.pop(wanted.tobytes(), None)
        if coming is None:  # what was foreseen has not come true
            for other in self._coming.values():
                other.cancel()
            self._coming.clear()
            coming = self._pool.submit(self._bring, wanted)
        return coming.result()
