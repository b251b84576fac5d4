"""Records into shards: plain .npy files of pixels that workers map into memory."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.data.records import Pictures, Record

SHARD_BYTES = 1 << 25
SHARD_ROWS = 1 << 14
"""What is held in memory of a shard on its way in: at most so many rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the store writes down of one packed image."""

    sample_id: str
    label: int
    split: str
    subject: str | None
    position: int
    """Row within the shard, from 0."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished file of pixels, (n, H, W, C) uint8, and its rows in order."""

    path: Path
    first: int
    """How many rows of the dataset lie in the shards before."""
    rows: list[Row]
    shape: tuple[int, int, int]
    """(height, width, channels) of every image."""
    fingerprint: str
    """SHA-256 over class names, shape, and rows with pixels up to the end of this shard; the last
    shard's is the dataset's. It depends on content and order, not on the files they came in."""


def pack(
    records: Iterable[Record],
    folder: Path,
    class_names: Sequence[str],
    shard_bytes: int = SHARD_BYTES,
) -> Iterator[Shard]:
    """Write records into `folder` as one .npy file after another; the caller takes each away.

    One shard is held in memory at a time, and each has from 1 to `SHARD_ROWS` images. The same
    records give the same bytes.
    """
    content = hashlib.sha256(json.dumps(list(class_names)).encode() + b"\n")
    pixels: Pictures | None = None
    rows: list[Row] = []
    first = 0

    def finished(full: Pictures) -> Shard:
        path = folder / f"{first:012d}.npy"
        np.save(path, full[: len(rows)], allow_pickle=False)
        height, width, channels = full.shape[1:]
        return Shard(path, first, rows, (height, width, channels), content.hexdigest())

    for record in records:
        if pixels is None:
            content.update(json.dumps(record.image.shape).encode() + b"\n")
            count = max(1, min(SHARD_ROWS, shard_bytes // record.image.size))
            pixels = np.empty((count, *record.image.shape), np.uint8)
        if len(rows) == len(pixels):
            yield finished(pixels)
            first, rows = first + len(rows), []
        pixels[len(rows)] = record.image
        rows.append(_row(record, len(rows)))
        named = [record.sample_id, record.label, record.split, record.subject]
        content.update(json.dumps(named).encode() + b"\n")
        content.update(pixels[len(rows) - 1].data)
    if pixels is not None:
        yield finished(pixels)


def _row(record: Record, position: int) -> Row:
    return Row(record.sample_id, record.label, record.split, record.subject, position)


def rewrite(shard: Path, rows: Sequence[int], folder: Path) -> Path:
    """A copy of a shard, in `folder`, in which these rows are zeros: the images are gone.

    Their pixels are never written, not even for a moment.

    Raises:
        IndexError: a row is not in the shard.
    """
    source = np.load(shard, mmap_mode="r", allow_pickle=False)
    outside = [row for row in rows if not 0 <= row < len(source)]
    if outside:
        raise IndexError(f"The shard {shard.name} has {len(source)} rows and no row {outside[0]}.")
    kept = np.ones((len(source), 1, 1, 1), np.uint8)
    kept[list(rows)] = 0
    path = folder / f"{shard.stem}.erased.npy"
    copy = np.lib.format.open_memmap(path, "w+", np.uint8, source.shape)
    step = max(1, SHARD_BYTES // max(1, source[0].size))
    for start in range(0, len(source), step):
        part = slice(start, start + step)
        np.multiply(source[part], kept[part], out=copy[part])
    copy.flush()
    return path
