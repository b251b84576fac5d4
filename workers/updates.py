"""The log of a training: which images each update saw and what it changed, as one file.

A safetensors file: `rows.<t>` int32 (m,), the rows of the dataset in the batch of update t, and
`update.<t>` float32 (P,), how far all parameters and BatchNorm statistics moved, one after the
other as its metadata say under `layout`. It takes four bytes for each of them and each update, and
remembers every image of the training: it is erased with the version that it belongs to.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from math import ceil, prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor, nn

from workers.kinds import Recipe
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
        self._append(f"update.{number}", now - self._old, "F32")
        self._seen.append(self._rows[moment.which.cpu()])
        self._old = now

    def pieces(self) -> Iterator[bytes]:
        """The finished file, from its beginning."""
        for number, rows in enumerate(self._seen):
            self._append(f"rows.{number}", rows, "I32")
        layout = json.dumps([[name, list(value.shape)] for name, value in self._live.items()])
        header = json.dumps({"__metadata__": {"layout": layout}, **self._header}).encode()
        header += b" " * (-len(header) % 8)
        yield struct.pack("<Q", len(header)) + header
        self._data.seek(0)
        yield from iter(lambda: self._data.read(PIECE), b"")

    def _now(self) -> Tensor:
        live = self._live.values()
        return torch.cat([value.detach().float().flatten() for value in live]).cpu()

    def _append(self, name: str, value: Tensor, kind: str) -> None:
        size = value.numel() * value.element_size()
        place = [self._size, self._size + size]
        self._header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": place}
        self._data.write(value.numpy().tobytes())
        self._size += size


class Log(Mapping[str, Tensor]):
    """A finished file: `rows.<t>`, and `update.<t>.<name>` for each parameter and statistic.

    A tensor is read when it is asked for.
    """

    def __init__(self, path: Path) -> None:
        opened: Any = safe_open(path, framework="pt")
        self._file, self._names = opened, frozenset[str](opened.keys())
        self._places, start = dict[str, tuple[int, list[int]]](), 0
        for name, shape in json.loads(opened.metadata()["layout"]):
            self._places[name] = start, shape
            start += prod(shape)

    def __getitem__(self, name: str) -> Tensor:
        kind, number, *rest = name.split(".", 2)
        stored = f"{kind}.{number}"
        if stored not in self._names or (kind == "rows") is bool(rest):
            raise KeyError(name)
        if kind == "rows":
            rows: Tensor = self._file.get_tensor(stored)
            return rows
        start, shape = self._places[rest[0]]
        found: Tensor = self._file.get_slice(stored)[start : start + prod(shape)]
        return found.view(shape)

    def __iter__(self) -> Iterator[str]:
        for stored in self._names:
            if stored.startswith("rows."):
                yield stored
            else:
                yield from (f"{stored}.{name}" for name in self._places)

    def __len__(self) -> int:
        return len(self._names) // 2 * (1 + len(self._places))


def size(model: nn.Module, recipe: Recipe, images: int) -> tuple[int, int]:
    """How many updates a training makes at the most, and how many bytes their log takes."""
    updates = recipe.epochs * ceil(images / recipe.batch_size)
    numbers = sum(v.numel() for v in model.state_dict().values() if v.is_floating_point())
    return updates, 4 * (updates * numbers + recipe.epochs * images)
