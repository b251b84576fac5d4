"""Every format gives the same records; names, splits, modes and hold-outs are as documented."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.data.readers import open_source, reserved
from workers.data.records import BadRow, ImportOptions

Write = Callable[..., Path]
KINDS = ["parquet", "folder", "zip", "npz"]
WITH_COLUMNS = ["parquet", "npz"]


def read(path: Path, **options: Any) -> list[Any]:
    return list(open_source(path, ImportOptions(**options)).records())


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_ids_labels_splits_and_the_very_pixels(
    kind: str, tiny: Any, write: Write
) -> None:
    source = open_source(write(kind, tiny))

    records = list(source.records())

    assert source.total == 9
    assert source.class_names == ("ant", "bee", "cat")
    assert [record.sample_id for record in records] == tiny.ids
    assert [record.label for record in records] == tiny.labels
    assert [record.split for record in records] == tiny.splits
    assert np.array_equal([record.image for record in records], tiny.images)


@pytest.mark.parametrize("kind", WITH_COLUMNS)
def test_subjects_are_kept_and_an_empty_one_is_none(kind: str, tiny: Any, write: Write) -> None:
    records = read(write(kind, tiny))

    assert [record.subject for record in records] == ["p1", None, "p2"] * 3


@pytest.mark.parametrize("kind", WITH_COLUMNS)
def test_missing_ids_are_numbered_within_split_and_class(
    kind: str, tiny: Any, write: Write
) -> None:
    tiny.leave_out = ("sample_id",)

    records = read(write(kind, tiny))

    assert [record.sample_id for record in records][2:6] == [
        "test/cat/00000",
        "train/ant/00000",
        "train/ant/00001",
        "train/bee/00000",
    ]


@pytest.mark.parametrize("kind", WITH_COLUMNS)
def test_class_names_fall_back_to_the_options_and_then_to_numbers(
    kind: str, tiny: Any, write: Write
) -> None:
    tiny.leave_out = ("class_names",)
    path = write(kind, tiny)

    asked = open_source(path, ImportOptions(classes=["x", "y", "z"]))

    assert open_source(path).class_names == ("0", "1", "2")
    assert asked.class_names == ("x", "y", "z")


def test_a_folder_of_parquet_takes_the_split_from_file_and_folder_names(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    tiny.leave_out = ("split", "sample_id")
    for name in ("train-00000-of-00001", "validation", "hold_out/0000", "odd"):
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        write("parquet", tiny, f"all/{name}")

    records = read(tmp_path / "all", split="test")

    assert [record.split for record in records[::9]] == ["holdout", "test", "train", "test"]
    assert len({record.sample_id for record in records}) == 36


def test_an_image_folder_without_splits_and_in_one_outer_folder_is_understood(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    tiny.ids = [f"outer/{name}" for name in tiny.ids]
    flat = tmp_path / "flat.zip"
    with ZipFile(flat, "w") as archive:
        archive.writestr("bee/1.png", tiny.encoded[0])
        archive.writestr("__MACOSX/bee/._1.png", b"rubbish")
        archive.writestr("bee/notes.txt", b"not an image")

    wrapped, plain = read(write("zip", tiny)), read(flat, split="holdout")

    assert [record.sample_id for record in wrapped] == [name[6:] for name in tiny.ids]
    assert [(record.sample_id, record.split) for record in plain] == [("bee/1", "holdout")]


def test_all_images_take_the_mode_of_the_first(tiny: Any, write: Write) -> None:
    grey = BytesIO()
    Image.new("L", (5, 6), 7).save(grey, "PNG")
    tiny.encoded[4] = grey.getvalue()

    colour = read(write("parquet", tiny))
    tiny.encoded[0] = grey.getvalue()
    single = read(write("parquet", tiny))

    assert {record.image.shape for record in colour} == {(6, 5, 3)}
    assert (colour[4].image == 7).all()
    assert {record.image.shape for record in single} == {(6, 5, 1)}


def test_palette_images_with_transparency_become_rgb(tiny: Any, write: Write) -> None:
    file = BytesIO()
    palette = Image.new("RGB", (5, 6), (200, 10, 30)).quantize(2)
    palette.save(file, "PNG", transparency=b"\x00\xff")
    tiny.encoded[0] = file.getvalue()

    first = read(write("parquet", tiny))[0]

    assert first.image[0, 0].tolist() == [200, 10, 30]


@pytest.mark.parametrize("kind", KINDS)
def test_resizing_brings_all_images_to_the_size_asked(kind: str, tiny: Any, write: Write) -> None:
    records = read(write(kind, tiny), resize=(3, 4))

    assert {record.image.shape for record in records} == {(3, 4, 3)}


@pytest.mark.parametrize("kind", WITH_COLUMNS)
def test_a_hold_out_takes_whole_subjects_and_training_rows_only(
    kind: str, tiny: Any, write: Write
) -> None:
    tiny.subjects = [f"p{i % 4}" for i in range(9)]

    records = read(write(kind, tiny), holdout_share=0.5, holdout_key=b"a key")

    sides = {(record.subject, record.split) for record in records if record.split != "test"}
    assert len(sides) == 4
    assert {side for _, side in sides} == {"train", "holdout"}
    assert [record.split for record in records[:3]] == ["test"] * 3


def test_the_hold_out_has_about_the_share_that_was_asked() -> None:
    held = sum(reserved(b"key", f"p{i}", 0.2) for i in range(5000))

    assert 900 < held < 1100


@given(st.binary(min_size=1), st.text("aé日"), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_reserves_whoever_a_smaller_one_did(
    key: bytes, name: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))

    assert reserved(key, name, large) >= reserved(key, name, small)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "dev"}, "'dev' is none of"),
        ({"holdout_share": 1.0, "holdout_key": b"k"}, "1.0 must be in"),
        ({"holdout_share": 0.1}, "needs a hold-out key"),
        ({"resize": (0, 4)}, "must be a height and a width"),
        ({"classes": ("a", "a")}, "repeat themselves"),
    ],
)
def test_options_that_contradict_themselves_are_refused(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        ImportOptions(**options)


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRow, match="there are no images in it"):
        read(tmp_path)
