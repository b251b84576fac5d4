"""What an upload must look like, read from its first bytes; nothing of it is ever executed."""

import math
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json

from models_store.errors import UnsafeFormat

MAX_HEADER = 16 * 2**20
"""A header of 16 MiB describes some 150,000 tensors."""

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16,
    "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip

ZIP, PARQUET, PICKLE_PROTOCOL = b"PK\x03\x04", b"PAR1", 0x80


def read_header(path: Path) -> dict[str, Any]:
    """The tensors that a safetensors file holds: name -> dtype, shape and data_offsets.

    The tensors themselves are not read, so this costs the same for any size.

    Raises:
        UnsafeFormat: it is a pickle, or no whole safetensors file.

    The format: https://github.com/huggingface/safetensors#format
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        _refuse_pickles(file.read(9))
        file.seek(0)
        header = _header(file, size)
    tensors = {name: facts for name, facts in header.items() if name != "__metadata__"}
    if not tensors:
        raise UnsafeFormat("The safetensors file holds no tensor.")
    _refuse_gaps(tensors, size - _length(path) - 8)
    return tensors


def check_dataset(path: Path) -> None:
    """Raises `UnsafeFormat` unless it begins as a Parquet, .npz or .zip file does."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in (PARQUET, ZIP):
        raise UnsafeFormat(
            "The upload is no .parquet, .npz or .zip file: convert the dataset to one of these."
        )


def _refuse_pickles(start: bytes) -> None:
    if start[:4] == ZIP:
        raise UnsafeFormat(
            "This is a zip archive, as torch.save writes it; it holds pickles, which may run any "
            "code when they are read. Save the weights with safetensors.torch.save_file instead."
        )
    if start[:1] == bytes([PICKLE_PROTOCOL]) and start[8:9] != b"{":
        raise UnsafeFormat(
            "This is a Python pickle, which may run any code when it is read. Save the weights "
            "with safetensors.torch.save_file instead."
        )


def _length(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def _header(file: BinaryIO, size: int) -> dict[str, Any]:
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER, size - 8):
        raise UnsafeFormat(
            f"This is no safetensors file: it is {size} bytes long and claims a header of "
            f"{length} bytes."
        )
    try:
        header = from_json(file.read(length), allow_inf_nan=False)
    except ValueError as error:
        raise UnsafeFormat(f"The header of the safetensors file is no JSON: {error}.") from None
    if not isinstance(header, dict):
        raise UnsafeFormat("The header of the safetensors file is no JSON object.")
    return header


def _refuse_gaps(tensors: dict[str, Any], size: int) -> None:
    """The tensors must fill the rest of the file exactly, one after the other."""
    spans = sorted(_span(name, facts) for name, facts in tensors.items())
    reached = 0
    for begin, end in spans:
        if begin != reached:
            raise UnsafeFormat(
                f"The safetensors file has a gap or overlap at byte {begin}: save it again."
            )
        reached = end
    if reached != size:
        raise UnsafeFormat(
            f"The safetensors file should hold {reached} bytes of tensors but holds {size}: it "
            "was cut off or has been changed."
        )


def _span(name: str, facts: Any) -> tuple[int, int]:
    try:
        begin, end = facts["data_offsets"]
        shape, bits = facts["shape"], BITS[facts["dtype"]]
        sound = all(type(n) is int and n >= 0 for n in (begin, end, *shape))
        fits = sound and (end - begin) * 8 == math.prod(shape) * bits
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise UnsafeFormat(
            f"The safetensors header describes the tensor {name[:100]!r} wrongly: save it again."
        )
    return begin, end
