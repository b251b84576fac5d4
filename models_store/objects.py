"""Packed pixels beyond this machine: immutable objects below a URL that fsspec understands."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from models_store.blobs import CHUNK, Kept
from models_store.errors import DigestMismatch, ObjectsAway
from models_store.failpoints import failpoint

DIGEST = 64
"""Characters of an object's name; whatever else lies below the URL is not ours."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some bytes of an object, from `start` up to, not including, `end`."""

    digest: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects under their own SHA-256, `<url>/<2 hex>/<64 hex>`.

    Every method raises `ObjectsAway` where the store cannot be reached or does not let us in.
    Endpoint and credentials come from where the file system of the URL looks for them.
    """

    url: str

    def put_file(self, path: Path) -> Kept:
        """Keep a copy of this file; in S3 an object appears whole or not at all."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        failpoint("objects.write")
        with self._reached() as (files, root):
            goal = _under(root, digest)
            files.makedirs(goal.rpartition("/")[0], exist_ok=True)
            files.put_file(str(path), goal)
        return Kept(digest, path.stat().st_size)

    def fetched(self, digest: str, folder: Path) -> Path:
        """A copy in `folder`, checked.

        Raises:
            FileNotFoundError: there is no such object.
            DigestMismatch: it is not what was put there.
        """
        copy, found = folder / digest, hashlib.sha256()
        with (
            self._reached() as (files, root),
            files.open(_under(root, digest), "rb") as source,
            copy.open("wb") as goal,
        ):
            while piece := source.read(CHUNK):
                found.update(piece)
                goal.write(piece)
        if found.hexdigest() != digest:
            raise DigestMismatch(f"The object {digest} has been damaged.", digest=digest)
        return copy

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """These bytes, asked for together. Raises FileNotFoundError where an object is gone."""
        with self._reached() as (files, root):
            found: list[bytes] = files.cat_ranges(
                [_under(root, span.digest) for span in spans],
                [span.start for span in spans],
                [span.end for span in spans],
                on_error="raise",
            )
        return found

    def drop(self, digest: str) -> bool:
        """Remove an object; False if it was not there."""
        with self._reached() as (files, root):
            goal = _under(root, digest)
            if not files.exists(goal):
                return False
            files.rm_file(goal)
        return True

    def listed(self) -> set[str]:
        """The digests of all objects."""
        with self._reached() as (files, root):
            names = {path.rpartition("/")[2] for path in files.find(root)}
        return {name for name in names if len(name) == DIGEST}

    def _reached(self) -> AbstractContextManager[tuple[Any, str]]:
        return _reached(self.url)


def bring(url: str, folder: Path) -> Path:
    """A copy, in `folder`, of the file at a URL, under the same name.

    Raises:
        FileNotFoundError: there is nothing at the URL.
        ObjectsAway: its store cannot be reached, or does not let us in.
    """
    with _reached(url) as (files, path):
        copy = folder / path.rpartition("/")[2]
        with files.open(path, "rb") as source, copy.open("wb") as goal:
            shutil.copyfileobj(source, goal, CHUNK)
    return copy


@contextmanager
def _reached(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, which knows nothing of yesterday, and the path in it."""
    try:
        files, path = url_to_fs(url, use_listings_cache=False)
        yield files, str(path).rstrip("/")
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ObjectsAway(
            f"The object store at {url} cannot be used ({type(error).__name__}: {error}); check "
            "the address and credentials that the workers were given, and retry."
        ) from error


def _under(root: str, digest: str) -> str:
    return f"{root}/{digest[:2]}/{digest}"
