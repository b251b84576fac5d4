"""NumPy archives with `images` and `labels`, read in pieces and never unpickled."""

import math
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from workers.data.archives import safe_members
from workers.data.records import (
    MAX_CLASSES,
    BadRow,
    ImportOptions,
    Raw,
    Table,
    class_names_for,
)

PIECE_BYTES = 1 << 22
MOST_IN_PIECE = 256
TEXT = "USiu"
KINDS = {
    "labels": "iu",
    "sample_id": TEXT,
    "subject_id": TEXT,
    "split": "US",
    "class_names": "US",
}
"""NumPy's letters for what each array may hold."""
MAX_ITEM_BYTES = 1 << 14
DAMAGED = (BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)
"""What zipfile and NumPy raise on broken or encrypted members."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, slots=True)
class Column:
    """One array of the archive, open at its first row."""

    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    where: str

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def pieces(self, rows_each: int = MOST_IN_PIECE) -> Iterator[np.ndarray[Any, Any]]:
        """The rows in order, `rows_each` at a time."""
        for start in range(0, self.shape[0], rows_each):
            count = min(rows_each, self.shape[0] - start)
            try:
                data = self.file.read(count * self.row_bytes)
                rows = np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])
            except DAMAGED as error:
                raise BadRow(
                    f"{self.where}, after row {start}", f"the array is damaged ({error})."
                ) from error
            yield rows


def table(path: Path, options: ImportOptions) -> Table:
    """Check every array's header and read what the archive says of classes; raises `BadRow`.

    Arrays: `images` (N, H, W) or (N, H, W, C) uint8 with C 1 or 3, `labels` (N,) integers, and,
    where present, `sample_id`, `subject_id`, `split` (N,) and `class_names` (K,).
    """
    with ZipFile(path) as archive:
        safe_members(archive, path, options)
    with _arrays(path, options) as (images, columns):
        count, most = images.shape[0], -1
        names = _class_names(columns.pop("class_names", None))
        if not names and not options.classes:
            most = max((int(piece.max()) for piece in columns["labels"].pieces()), default=-1)

    def rows() -> Iterator[Raw]:
        return _rows(path, options)

    return Table(class_names_for(names, options, most), count, rows)


def _rows(path: Path, options: ImportOptions) -> Iterator[Raw]:
    with _arrays(path, options) as (images, columns):
        columns.pop("class_names", None)
        number = 0
        each = max(1, min(MOST_IN_PIECE, PIECE_BYTES // images.row_bytes))
        pieces = [column.pieces(each) for column in columns.values()]
        for pictures, *others in zip(images.pieces(each), *pieces, strict=True):
            with_channels = pictures.reshape(*pictures.shape[:3], -1)
            for picture, *values in zip(with_channels, *map(_plain, others), strict=True):
                row = dict(zip(columns, values, strict=True))
                yield Raw(
                    image=picture,
                    label=row["labels"],
                    where=f"{path.name}, row {number}",
                    sample_id=row.get("sample_id"),
                    split=row.get("split"),
                    subject=row.get("subject_id"),
                )
                number += 1


def _plain(values: np.ndarray[Any, Any]) -> list[Any]:
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "surrogateescape") for value in values.tolist()]
    return list(values.tolist())


@contextmanager
def _arrays(path: Path, options: ImportOptions) -> Iterator[tuple[Column, dict[str, Column]]]:
    """The images and the other arrays that are there, open and checked; raises `BadRow`."""
    with ZipFile(path) as archive, ExitStack() as stack:
        there = [name for name in ("images", *KINDS) if f"{name}.npy" in archive.namelist()]
        columns = {name: _open(archive, stack, path, name) for name in there}
        images = _images(columns.pop("images"), options)
        if "labels" not in columns:
            raise BadRow(path.name, "there is no array 'labels'; add one integer per image.")
        for name, column in columns.items():
            _fits(name, column, images.shape[0])
        yield images, columns


def _open(archive: ZipFile, stack: ExitStack, path: Path, name: str) -> Column:
    where = f"{path.name}, array {name!r}"
    try:
        file = stack.enter_context(archive.open(f"{name}.npy"))
        shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
    except (*DAMAGED, KeyError) as error:
        raise BadRow(where, f"the array is damaged ({error}); save it again.") from error
    if dtype.hasobject:
        raise BadRow(where, "it holds Python objects, which are never loaded; save plain numbers.")
    if fortran and len(shape) > 1:
        raise BadRow(where, "it is in Fortran order; save numpy.ascontiguousarray of it.")
    return Column(file, shape, dtype, where)


def _images(images: Column, options: ImportOptions) -> Column:
    if images.dtype != np.uint8:
        raise BadRow(images.where, f"it must be uint8 and is {images.dtype}; convert it.")
    grey = len(images.shape) == 3
    if not grey and not (len(images.shape) == 4 and images.shape[3] in (1, 3)):
        raise BadRow(
            images.where, f"its shape {images.shape} is none of (N, H, W) and (N, H, W, 1 or 3)."
        )
    if not 0 < images.shape[1] * images.shape[2] <= options.max_pixels:
        raise BadRow(
            images.where,
            f"its images have {images.shape[1]} x {images.shape[2]} pixels; from 1 to "
            f"{options.max_pixels} are allowed.",
        )
    return images


def _fits(name: str, column: Column, count: int) -> None:
    if name == "class_names":
        whole = len(column.shape) == 1 and column.shape[0] <= MAX_CLASSES
        wanted = f"(classes,) with at most {MAX_CLASSES}"
    else:
        whole, wanted = column.shape == (count,), f"({count},) as the images have it"
    if not whole:
        raise BadRow(column.where, f"its shape is {column.shape}, not {wanted}.")
    if column.dtype.kind not in KINDS[name] or column.dtype.itemsize > MAX_ITEM_BYTES:
        raise BadRow(column.where, f"its type {column.dtype} does not fit; save it as another.")


def _class_names(column: Column | None) -> tuple[str, ...]:
    if column is None:
        return ()
    return tuple(str(name) for piece in column.pieces() for name in _plain(piece))
