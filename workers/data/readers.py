"""The door for datasets: any readable source becomes a stream of checked records."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from workers.data import image_folder, npz, parquet
from workers.data.pictures import Form, decoded
from workers.data.records import (
    MAX_CLASSES,
    MAX_NAME,
    SPLITS,
    UNWRITABLE,
    BadRow,
    ImportOptions,
    Pictures,
    Raw,
    Record,
    Split,
    Table,
)

REMEMBERED = 1 << 18
"""How many sample IDs are remembered to find repeats early; the store's own key finds the rest."""


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset that lies ready to be imported."""

    name: str
    table: Table
    options: ImportOptions

    @property
    def total(self) -> int:
        """How many records there will be."""
        return self.table.total

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by label."""
        return self.table.class_names

    def records(self) -> Iterator[Record]:
        """Every row, decoded and checked, in the order of the source; memory stays flat.

        Raises:
            BadRow: the first row that cannot enter, by file and row (counted from 0).
        """
        rows = self.table.rows()
        first = next(rows, None)
        if first is None:
            raise BadRow(self.name, "there are no images in it; check the path.")
        gate = _Gate(self.class_names, self.options)
        form = Form.of(first, self.options)
        for raw, image in decoded(chain([first], rows), form, self.options):
            yield gate.passed(raw, image)


def open_source(path: Path, options: ImportOptions | None = None) -> Source:
    """Recognise a source by its content and read what it says of itself; no image is touched.

    Takes a Parquet file or a folder of them, an ImageFolder or a .zip of one, an .npz.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        BadRow: the source is of another kind, or damaged, or unsafe to unpack.
    """
    options = options or ImportOptions()
    table = _reader(path)(path, options)
    names = table.class_names
    if len(names) > MAX_CLASSES or len(set(names)) < len(names):
        raise BadRow(path.name, f"its {len(names)} class names repeat or exceed {MAX_CLASSES}.")
    for name in names:
        _text(name, "class name", path.name)
    return Source(path.name, table, options)


def reserved(key: bytes, name: str, share: float) -> bool:
    """Is this subject or sample in the hold-out? HMAC-SHA256 as a fraction of 1, below `share`."""
    digest = hmac.digest(key, name.encode(), "sha256")
    return int.from_bytes(digest[:8]) < share * 2**64


def _reader(path: Path) -> Any:
    if path.is_dir():
        return parquet.table if parquet.files(path) else image_folder.table
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        return parquet.table
    if magic[:2] != b"PK":
        raise BadRow(
            path.name, "this is no Parquet, .npz or .zip file; convert it to one of these."
        )
    try:
        with ZipFile(path) as archive:
            return npz.table if "images.npy" in archive.namelist() else image_folder.table
    except BadZipFile as error:
        raise BadRow(path.name, f"the archive is damaged ({error}); upload it again.") from error


@dataclass(slots=True)
class _Gate:
    """What a row must show to become a record."""

    class_names: tuple[str, ...]
    options: ImportOptions
    seen: set[bytes] = field(default_factory=set)
    numbers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def passed(self, raw: Raw, image: Pictures) -> Record:
        label = self._label(raw)
        split = self._split(raw)
        sample_id = self._sample_id(raw, split, label)
        subject = None if raw.subject in (None, "") else _text(raw.subject, "subject", raw.where)
        share = self.options.holdout_share
        if split == "train" and reserved(self.options.holdout_key, subject or sample_id, share):
            split = "holdout"
        return Record(sample_id, image, label, split, subject, raw.where)

    def _label(self, raw: Raw) -> int:
        if type(raw.label) is not int:
            raise BadRow(raw.where, f"the label {raw.label!r} is not an integer; give 0, 1, ...")
        if not 0 <= raw.label < len(self.class_names):
            raise BadRow(
                raw.where,
                f"the label {raw.label} is not within 0 to {len(self.class_names) - 1}; correct "
                "it, or name all classes.",
            )
        return raw.label

    def _split(self, raw: Raw) -> Split:
        if raw.split is None:
            return self.options.split
        try:
            return SPLITS[str(raw.split).lower()]
        except KeyError:
            raise BadRow(
                raw.where, f"the split {raw.split!r} is none of train, test and holdout."
            ) from None

    def _sample_id(self, raw: Raw, split: str, label: int) -> str:
        """The row's own ID, or `<split>/<class name>/<number>`, numbered from 0 in file order."""
        if raw.sample_id is None:
            number = self.numbers[split, label]
            self.numbers[split, label] += 1
            derived = f"{split}/{self.class_names[label]}/{number:05d}"
            return _text(derived, "sample_id", raw.where)
        sample_id = _text(raw.sample_id, "sample_id", raw.where)
        digest = hashlib.blake2b(sample_id.encode(), digest_size=12).digest()
        if digest in self.seen:
            raise BadRow(raw.where, f"the sample_id {sample_id!r} was seen before; make it unique.")
        if len(self.seen) < REMEMBERED:
            self.seen.add(digest)
        return sample_id


def _text(value: object, what: str, where: str) -> str:
    """A name fit for a database column, from text or an integer."""
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value:
        raise BadRow(where, f"the {what} {value!r} is not text; give every row one.")
    if len(value) > MAX_NAME or UNWRITABLE.search(value):
        raise BadRow(
            where,
            f"the {what} {value[:80]!r} has control characters or more than {MAX_NAME} "
            "characters; rename it.",
        )
    return value
