"""Bad input is refused by a sentence that names file and row, and never by another error."""

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.data.pictures import Form
from workers.data.readers import open_source
from workers.data.records import BadRow, ImportOptions, Raw

Write = Callable[..., Path]


def read(path: Path, **options: Any) -> None:
    for _ in open_source(path, ImportOptions(**options)).records():
        pass


def encoded(mode: str, size: tuple[int, int], kind: str = "PNG") -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def put(tiny: Any, column: str, value: Any) -> None:
    getattr(tiny, column)[4] = value


SHARED = [
    ("labels", 3, "the label 3 is not within 0 to 2"),
    ("labels", -1, "the label -1 is not within 0 to 2"),
    ("ids", "test/ant/00", "'test/ant/00' was seen before"),
    ("ids", "", "sample_id '' is not text"),
    ("ids", "a" * 501, "more than 500"),
    ("ids", "a\x00b", "control characters"),
    ("splits", "dev", "the split 'dev' is none of"),
    ("subjects", "a\nb", "control characters"),
]


@pytest.mark.parametrize("kind", ["parquet", "npz"])
@pytest.mark.parametrize("case", SHARED)
def test_a_bad_value_is_refused_by_its_row(
    kind: str, case: tuple[str, Any, str], tiny: Any, write: Write
) -> None:
    column, value, sentence = case
    put(tiny, column, value)

    with pytest.raises(BadRow, match=sentence) as caught:
        read(write(kind, tiny))

    assert caught.value.where == f"pictures.{kind}, row 4"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("encoded", b"rubbish", "cannot be decoded"),
        ("encoded", None, "no image bytes"),
        ("encoded", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n", "cannot be decoded"),
        ("encoded", encoded("RGB", (6, 5)), "5 x 6 pixels where the first one is 6 x 5"),
        ("encoded", encoded("I;16", (5, 6)), "more than 8 bits a channel"),
        ("encoded", encoded("RGB", (101, 100)), "10100 pixels, more than the 10000"),
        ("encoded", encoded("RGB", (5, 6)) + bytes(100_000), "100.* bytes, more than the 50000"),
        ("labels", None, "label None is not an integer"),
        ("ids", None, "the sample_id is missing"),
        ("splits", None, "the split '' is none of"),
    ],
)
def test_a_bad_parquet_row_is_refused(
    column: str, value: Any, sentence: str, tiny: Any, write: Write
) -> None:
    put(tiny, column, value)

    with pytest.raises(BadRow, match=sentence) as caught:
        read(write("parquet", tiny), max_pixels=10_000, max_image_bytes=50_000)

    assert caught.value.where == "pictures.parquet, row 4"


def test_a_png_that_promises_a_huge_image_is_refused_before_it_is_decoded(
    tiny: Any, write: Write
) -> None:
    huge = bytearray(encoded("L", (1, 1)))
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    tiny.encoded[4] = bytes(huge)

    with pytest.raises(BadRow, match="row 4"):
        read(write("parquet", tiny))


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8), st.sampled_from(["PNG", "JPEG"]))
def test_a_damaged_image_is_decoded_or_refused_but_never_breaks_the_import(
    at: int, noise: bytes, kind: str
) -> None:
    data = bytearray(encoded("RGB", (16, 16), kind))
    data[at % len(data) : at % len(data) + len(noise)] = noise

    with suppress(BadRow):  # and no other error
        form = Form.of(Raw(bytes(data), 0, "here"), ImportOptions(max_pixels=10_000))
        assert form.height * form.width <= 10_000


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"img": [b"x"], "label": [0]}, "no column 'image'"),
        ({"image": ["x"], "label": [0]}, "the column 'image' is string"),
        ({"image": [{"bytes": b"x"}], "label": ["cat"]}, "the column 'label' is string"),
        ({"image": [{"bytes": b"x"}], "label": [0.0]}, "the column 'label' is double"),
    ],
)
def test_parquet_columns_of_another_layout_are_refused(
    columns: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "odd.parquet")

    with pytest.raises(BadRow, match=sentence):
        read(tmp_path / "odd.parquet")


@pytest.mark.parametrize("kind", ["parquet", "npz", "zip"])
def test_a_file_cut_short_is_refused(kind: str, tiny: Any, write: Write) -> None:
    path = write(kind, tiny)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(BadRow, match="damaged"):
        read(path)


@pytest.mark.parametrize("kind", ["parquet", "npz", "zip"])
def test_bytes_flipped_in_the_middle_are_refused(kind: str, tiny: Any, write: Write) -> None:
    path = write(kind, tiny)
    data = bytearray(path.read_bytes())
    data[200:600] = bytes(400)
    path.write_bytes(data)

    with pytest.raises(BadRow, match="pictures"):
        read(path)


def test_parquet_files_that_disagree_on_class_names_are_refused(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "all").mkdir()
    write("parquet", tiny, "all/one")
    write("parquet", replace(tiny, classes=["x", "y", "z"]), "all/two")

    with pytest.raises(BadRow, match="disagree on the class names"):
        read(tmp_path / "all")


def test_a_link_to_a_parquet_file_outside_is_refused(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "train.parquet").symlink_to(write("parquet", tiny))

    with pytest.raises(BadRow, match=r"train\.parquet: this is a symbolic link"):
        read(tmp_path / "all")
