"""A safetensors header is believed only where it accounts for every byte of the file."""

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from models_store.errors import UnsafeFormat
from models_store.formats import check_dataset, read_header


def written(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def made(header: Any, body: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def tensor(begin: int = 0, end: int = 8, dtype: str = "F32", shape: Any = (2,)) -> Any:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    tensors = {
        "a": torch.zeros(3, 4),
        "b": torch.zeros((), dtype=torch.int64),
        "c": torch.zeros(0, 5, dtype=torch.bfloat16),
        "d": torch.zeros(7, dtype=torch.bool),
    }

    header = read_header(written(tmp_path, save(tensors, {"by": "me"})))

    assert {name: facts["shape"] for name, facts in header.items()} == {
        "a": [3, 4], "b": [], "c": [0, 5], "d": [7],
    }  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08",
        bytes(8),
        (2**63).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"{}",
        made(b"[" * 5000),
        made(b"{nonsense"),
        made(b"\xff\xfe{}"),
        made([]),
        made({}),
        made({"__metadata__": {"a": "b"}}),
        made({"w": None}),
        made({"w": tensor(dtype="F128")}),
        made({"w": tensor(shape=(3,))}),
        made({"w": tensor(shape=(-1, -2))}),
        made({"w": tensor(shape=(2.0,))}),
        made({"w": tensor(4, 12)}),
        made({"w": tensor(8, 0)}),
        made({"w": tensor(0, 16, shape=(4,))}),
        made({"w": tensor(0, 4, shape=(1,))}),
        made({"w": tensor(), "v": tensor()}),
        made({"w": tensor()}, bytes(9)),
        pickle.dumps({"w": 1}),
        pickle.dumps({"w": 1}, protocol=2),
        b"PK\x03\x04" + bytes(64),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnsafeFormat):
        read_header(written(tmp_path, data))


def test_a_header_of_128_bytes_is_not_taken_for_a_pickle(tmp_path: Path) -> None:
    text = json.dumps({"w": tensor()}).encode().ljust(0x80)

    assert read_header(written(tmp_path, made(text)))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = written(tmp_path_factory.getbasetemp(), data)

    for read in (read_header, check_dataset):
        with contextlib.suppress(UnsafeFormat):
            read(path)
