"""The words of an import: what is asked, what a file holds, what comes out, what is refused."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
"""One image (H, W, C) or many (n, H, W, C); C is 1 (grey) or 3 (RGB)."""

Split = Literal["train", "test", "holdout"]

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "test",
    "valid": "test",
    "validation": "test",
    "holdout": "holdout",
    "hold-out": "holdout",
    "hold_out": "holdout",
}
"""What files call their splits, and what we call them."""

MAX_CLASSES = 100_000
MAX_NAME = 500
"""Characters in a sample's, a subject's or a class's name: what a column of the store takes."""


UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters and halves of characters: no database takes them."""


class BadRow(ValueError):
    """An import that cannot go on; the sentence names the row and file, and says what to do."""

    def __init__(self, where: str, what: str) -> None:
        sentence = f"{where}: {what}"
        super().__init__(UNWRITABLE.sub(lambda found: ascii(found[0])[1:-1], sentence))
        self.where = where


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to read a source. Raises ValueError for options that contradict themselves."""

    classes: Sequence[str] = ()
    """Class names in the order of their labels; wins over names that the source carries."""

    split: Split = "train"
    """For rows whose source does not say."""

    resize: tuple[int, int] | None = None
    """(height, width) for every image; without it, all must have the shape of the first."""

    holdout_share: float = 0.0
    """Share of the training rows, by subject where one is known, to reserve as hold-out."""

    holdout_key: bytes = b""
    """Secret that decides who is reserved; the same key reserves the same subjects."""

    max_pixels: int = 1 << 24
    """Height times width of one image as it lies in the file."""

    max_image_bytes: int = 1 << 26
    """Bytes of one encoded image."""

    max_bytes: int = 1 << 38
    """Bytes of a whole archive or file once unpacked."""

    max_ratio: int = 200
    """Unpacked over packed bytes of an archive, where it unpacks to more than 64 MiB."""

    threads: int = min(4, os.cpu_count() or 1)
    """Threads that decode images."""

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise ValueError(f"The split {self.split!r} is none of train, test and holdout.")
        if not 0 <= self.holdout_share < 1:
            raise ValueError(f"The hold-out share {self.holdout_share} must be in [0, 1).")
        if self.holdout_share and not self.holdout_key:
            raise ValueError("A hold-out share needs a hold-out key.")
        if self.resize is not None and min(self.resize) < 1:
            raise ValueError(f"The size {self.resize} must be a height and a width in pixels.")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"The class names {list(self.classes)} repeat themselves.")


@dataclass(slots=True)
class Raw:
    """A row as its file has it: nothing has been believed yet."""

    image: bytes | Pictures | None
    """An encoded image, or pixels (H, W, C) already."""
    label: Any
    where: str
    sample_id: Any = None
    """None where the source names no samples: one is derived."""
    split: Any = None
    """None where the source does not say."""
    subject: Any = None


@dataclass(frozen=True, slots=True)
class Table:
    """What a file format makes of a source: its class names, its length, its rows in order."""

    class_names: tuple[str, ...]
    total: int
    rows: Callable[[], Iterator[Raw]]


@dataclass(frozen=True, slots=True)
class Record:
    """One image that may enter the store."""

    sample_id: str
    image: Pictures
    """(H, W, C) uint8, of one shape in the whole source."""
    label: int
    split: Split
    subject: str | None
    where: str


def class_names_for(names: Sequence[str], options: ImportOptions, most: int) -> tuple[str, ...]:
    """The class names of a source: as asked, else as carried, else numbers up to label `most`."""
    if options.classes:
        return tuple(options.classes)
    return tuple(names) or tuple(str(label) for label in range(min(most + 1, MAX_CLASSES)))
