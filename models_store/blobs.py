"""Bytes under their own SHA-256: written once, read by anybody, checked on the way."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models_store.errors import DigestMismatch, NotFound, StorageFull, TooLarge
from models_store.failpoints import failpoint

CHUNK = 1 << 20
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Kept:
    """A blob that is on disk, whole and synced."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Blobs:
    """A folder of immutable files, `<2 hex>/<64 hex>`."""

    folder: Path

    def put(self, data: bytes) -> Kept:
        """Keep these bytes; keeping the same bytes twice is one file. Raises `StorageFull`."""
        return self.take_in([data])

    def put_file(self, path: Path) -> Kept:
        """Keep a copy of this file, read in pieces. Raises `StorageFull`."""
        with path.open("rb") as source:
            return self.take_in(iter(lambda: source.read(CHUNK), b""))

    def take_in(
        self,
        pieces: Iterable[bytes],
        limit: int | None = None,
        inspect: Callable[[Path], object] | None = None,
    ) -> Kept:
        """Keep a stream. One that breaks off, is too long or fails inspection leaves nothing.

        Raises:
            TooLarge: more than `limit` bytes came.
            StorageFull: the disk has no room.
            Refusal: what `inspect` raises once it sees the whole file.
        """
        digest, size = hashlib.sha256(), 0
        with self._unfinished() as (path, file):
            for piece in pieces:
                size += len(piece)
                if limit is not None and size > limit:
                    raise TooLarge(f"The upload is larger than {limit} bytes.", limit=limit)
                digest.update(piece)
                failpoint("blobs.write")
                file.write(piece)
            if inspect is not None:
                file.flush()
                inspect(path)
            return self._finish(path, file, Kept(digest.hexdigest(), size))

    def usable(self) -> bool:
        """Is the folder there, and may we write to it? False while its disk is not mounted."""
        return os.access(self.folder, os.W_OK)

    def path(self, digest: str) -> Path:
        """Where these bytes lie, or would lie."""
        return self.folder / digest[:2] / digest

    def fetched(self, digest: str, folder: Path) -> Path:
        """The bytes as a file: no copy in `folder` is needed, as they lie here."""
        del folder
        return self.path(digest)

    def read(self, digest: str) -> bytes:
        """The bytes, checked. Raises `NotFound`, or `DigestMismatch` when the disk lies."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"The blob {digest} is not in {self.folder}.", digest=digest) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise DigestMismatch(f"The blob {digest} has been damaged on disk.", digest=digest)
        return data

    def whole(self, digest: str) -> bool:
        """Are the bytes there, and undamaged?"""
        try:
            self.read(digest)
        except (NotFound, DigestMismatch):
            return False
        return True

    def drop(self, digest: str) -> bool:
        """Remove the bytes; False if they were not there."""
        try:
            self.path(digest).unlink()
        except FileNotFoundError:
            return False
        _sync(self.path(digest).parent)
        return True

    def listed(self) -> Iterator[Path]:
        """Every file in the folder, leftovers of broken uploads included."""
        return (path for path in self.folder.rglob("*") if path.is_file())

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder on the same disk for files on their way in; gone at the end."""
        (self.folder / "incoming").mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=self.folder / "incoming"))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _unfinished(self) -> Iterator[tuple[Path, BinaryIO]]:
        try:
            (self.folder / "incoming").mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder / "incoming")
        except OSError as error:
            raise _as_refusal(error, self.folder) from error
        try:
            with os.fdopen(handle, "wb") as file:
                yield Path(name), file
        except OSError as error:
            raise _as_refusal(error, self.folder) from error
        finally:
            Path(name).unlink(missing_ok=True)

    def _finish(self, path: Path, file: BinaryIO, kept: Kept) -> Kept:
        file.flush()
        os.fsync(file.fileno())
        goal = self.path(kept.digest)
        goal.parent.mkdir(parents=True, exist_ok=True)
        path.replace(goal)  # atomic: a reader sees the whole file or none
        _sync(goal.parent)
        return kept


def _as_refusal(error: OSError, folder: Path) -> Exception:
    if error.errno in NO_ROOM:
        return StorageFull(f"There is no room left in {folder}: free some and retry.")
    return error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
