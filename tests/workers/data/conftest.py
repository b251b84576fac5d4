"""Tiny datasets in every format that can be imported."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from workers.data.records import Pictures


def png(image: Pictures) -> bytes:
    file = BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


@dataclass
class Tiny:
    """Nine images of three classes; the order is that of the paths their IDs spell."""

    images: Pictures
    labels: list[Any]
    splits: list[Any]
    ids: list[Any]
    classes: list[str]
    subjects: list[Any]
    encoded: list[Any] = field(default_factory=list)
    """PNG bytes; a test may damage them."""
    leave_out: tuple[str, ...] = ()
    """Columns that the file does not have."""

    def columns(self) -> dict[str, list[Any]]:
        every = {"sample_id": self.ids, "subject_id": self.subjects, "split": self.splits}
        return {name: values for name, values in every.items() if name not in self.leave_out}


def as_parquet(tiny: Tiny, path: Path) -> Path:
    images = [{"bytes": data, "path": None} for data in tiny.encoded]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(images, kind), "label": tiny.labels, **tiny.columns()}
    table = pa.table(columns)
    if "class_names" not in tiny.leave_out:
        label = {"names": tiny.classes, "_type": "ClassLabel"}
        said = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(said)})
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=4)
    return path.with_suffix(".parquet")


def as_folder(tiny: Tiny, path: Path) -> Path:
    for name, data in zip(tiny.ids, tiny.encoded, strict=True):
        file = path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def as_zip(tiny: Tiny, path: Path) -> Path:
    with ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name, data in zip(tiny.ids, tiny.encoded, strict=True):
            archive.writestr(f"{name}.png", data)
    return path.with_suffix(".zip")


def as_npz(tiny: Tiny, path: Path) -> Path:
    columns: dict[str, Any] = {"class_names": tiny.classes, **tiny.columns()}
    if "class_names" in tiny.leave_out:
        del columns["class_names"]
    np.savez_compressed(path.with_suffix(".npz"), images=tiny.images, labels=tiny.labels, **columns)
    return path.with_suffix(".npz")


WRITERS = {"parquet": as_parquet, "folder": as_folder, "zip": as_zip, "npz": as_npz}


@pytest.fixture
def tiny() -> Tiny:
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), np.uint8)
    splits = ["test"] * 3 + ["train"] * 6
    labels = [0, 1, 2, 0, 0, 1, 1, 2, 2]
    classes = ["ant", "bee", "cat"]
    ids = [f"{s}/{classes[y]}/{i:02d}" for i, (s, y) in enumerate(zip(splits, labels, strict=True))]
    encoded = [png(image) for image in images]
    return Tiny(images, labels, splits, ids, classes, ["p1", "", "p2"] * 3, encoded)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(kind, tiny, name)`: the dataset as a file or folder of that kind."""

    def written(kind: str, tiny: Tiny, name: str = "pictures") -> Path:
        return WRITERS[kind](tiny, tmp_path / name)

    return written
