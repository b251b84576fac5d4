"""The log of a training: which images each update saw and what it changed, as one file.

A safetensors file: `rows.<t>` int32 (m,), the rows of the dataset in the batch of update t, and
`update.<t>.<name>` float32, how far each parameter and BatchNorm statistic moved. It takes four
bytes for each of them and each update, and remembers every image of the training: it is erased
with the version that it belongs to.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor, nn

from workers.training import Moment

MEDIA = "application/vnd.lethe.updates"
PIECE = 1 << 20


class Recorder:
    """Called after each update of a training, it writes down what changed."""

    def __init__(self, data: BinaryIO, model: nn.Module, rows: Tensor) -> None:
        """`data`: an empty file to write to and read from. `rows`: (n,) int64, what is learned."""
        self._data, self._header, self._size = data, dict[str, object](), 0
        self._rows, self._seen = rows.to(torch.int32), list[Tensor]()
        self._live = {
            name: value
            for name, value in model.state_dict(keep_vars=True).items()
            if value.is_floating_point()
        }
        self._old = self._now()

    def __call__(self, moment: Moment) -> None:
        """One update."""
        number, now = len(self._seen), self._now()
        for name, value in now.items():
            self._append(f"update.{number}.{name}", value - self._old[name], "F32")
        self._seen.append(self._rows[moment.which.cpu()])
        self._old = now

    def pieces(self) -> Iterator[bytes]:
        """The finished file, from its beginning."""
        for number, rows in enumerate(self._seen):
            self._append(f"rows.{number}", rows, "I32")
        header = json.dumps(self._header).encode()
        header += b" " * (-len(header) % 8)
        yield struct.pack("<Q", len(header)) + header
        self._data.seek(0)
        yield from iter(lambda: self._data.read(PIECE), b"")

    def _now(self) -> dict[str, Tensor]:
        return {
            name: value.detach().cpu().float().clone(memory_format=torch.contiguous_format)
            for name, value in self._live.items()
        }

    def _append(self, name: str, value: Tensor, kind: str) -> None:
        size = value.numel() * value.element_size()
        place = [self._size, self._size + size]
        self._header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": place}
        self._data.write(value.numpy().tobytes())
        self._size += size


class Log(Mapping[str, Tensor]):
    """A finished file; a tensor is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        opened: Any = safe_open(path, framework="pt")
        self._file, self._names = opened, frozenset[str](opened.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        found: Tensor = self._file.get_tensor(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
