"""Archives and folders with anything unsafe or out of place in them are refused."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pytest
from PIL import Image

from workers.data.readers import open_source
from workers.data.records import BadRow, ImportOptions

Write = Callable[..., Path]


def read(path: Path, **options: Any) -> None:
    for _ in open_source(path, ImportOptions(**options)).records():
        pass


def encoded(mode: str, size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"labels": np.array([0, "a"], object)}, "Python objects"),
        ({"labels": np.zeros(2)}, "float64 does not fit"),
        ({"labels": np.zeros(3, int)}, r"\(3,\), not \(2,\)"),
        ({"labels": None}, "no array 'labels'"),
        ({"images": np.zeros((2, 4, 4))}, "must be uint8 and is float64"),
        ({"images": np.zeros((2, 4), np.uint8)}, r"\(2, 4\) is none of"),
        ({"images": np.zeros((2, 4, 4, 2), np.uint8)}, "is none of"),
        ({"images": np.zeros((2, 400, 400), np.uint8)}, "400 x 400 pixels"),
        ({"images": np.asfortranarray(np.zeros((2, 4, 4, 3), np.uint8))}, "Fortran order"),
        ({"class_names": np.zeros(2)}, "float64 does not fit"),
        ({"class_names": np.array([["a"], ["b"]])}, r"\(classes,\)"),
        ({"class_names": np.array(["a", "a"])}, "class names repeat"),
        ({"sample_id": np.array(["a", "b" * 5000])}, "does not fit"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arrays: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    whole = {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2, int), **arrays}
    given_arrays = {name: array for name, array in whole.items() if array is not None}
    np.savez(tmp_path / "odd.npz", allow_pickle=True, **given_arrays)

    with pytest.raises(BadRow, match=sentence):
        read(tmp_path / "odd.npz", max_pixels=10_000)


def symlink() -> ZipInfo:
    info = ZipInfo("train/ant/1.png")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("../train/ant/1.png", "points outside"),
        ("/train/ant/1.png", "points outside"),
        ("train\\ant\\1.png", "points outside"),
        ("C:/ant/1.png", "points outside"),
        (symlink(), "symbolic link"),
        ("1.png", "must lie in <class>/<file>"),
        ("train/1.png", "must lie in <class>/<file>"),
        ("train/ant/small/1.png", "must lie in <class>/<file>"),
    ],
)
def test_archive_entries_in_the_wrong_place_are_refused(
    entry: str | ZipInfo, sentence: str, tmp_path: Path
) -> None:
    with ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr("test/ant/0.png", encoded("L", (4, 4)))
        archive.writestr(entry, encoded("L", (4, 4)))

    with pytest.raises(BadRow, match=sentence):
        read(tmp_path / "odd.zip")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "bomb.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("train/ant/1.png", bytes(70_000_000))

    with pytest.raises(BadRow, match="over 200 times its size"):
        read(tmp_path / "bomb.zip")
    with pytest.raises(BadRow, match="more than 1000"):
        read(tmp_path / "bomb.zip", max_bytes=1000)


def test_an_encrypted_archive_is_refused(tiny: Any, write: Write) -> None:
    path = write("zip", tiny)
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 8
    path.write_bytes(data[:at] + b"\x01" + data[at + 1 :])

    with pytest.raises(BadRow, match="encrypted"):
        read(path)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo])
def test_links_and_devices_in_a_folder_are_refused(
    make: Callable[[Path], None], tiny: Any, write: Write
) -> None:
    path = write("folder", tiny)
    make(path / "train" / "ant" / "99.png")

    with pytest.raises(BadRow, match=r"train/ant/99\.png: this is a symbolic link or a device"):
        read(path)


def test_two_images_with_one_name_and_two_endings_are_refused(tiny: Any, write: Write) -> None:
    path = write("folder", tiny)
    (path / "train" / "ant" / "03.jpg").write_bytes(tiny.encoded[3])

    with pytest.raises(BadRow, match="'train/ant/03' was seen before"):
        read(path)


def test_a_class_folder_that_was_not_named_is_refused(tiny: Any, write: Write) -> None:
    with pytest.raises(BadRow, match="the class 'cat' is none of"):
        read(write("folder", tiny), classes=("ant", "bee"))


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"GIF89a"])
def test_files_of_another_kind_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(data)

    with pytest.raises(BadRow, match=r"no Parquet, \.npz or \.zip"):
        read(tmp_path / "odd")
