"""Upload forms, byte by byte."""

import json
from typing import Any

from fastapi.testclient import TestClient

PARQUET = b"PAR1" + bytes(100) + b"PAR1"


def safetensors(*values: float) -> bytes:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, 4 * len(values)]}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4 * len(values))


def form(meta: Any, file: bytes, boundary: str = "xyz") -> bytes:
    parts = [
        (b'name="meta"', json.dumps(meta).encode()),
        (b'name="file"; filename="x.bin"', file),
    ]
    return b"".join(
        b"--" + boundary.encode() + b"\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n"
        + body + b"\r\n"
        for head, body in parts
    ) + b"--" + boundary.encode() + b"--\r\n"  # fmt: skip


def send(door: TestClient, path: str, body: Any) -> Any:
    return door.post(
        path, content=body, headers={"Content-Type": "multipart/form-data; boundary=xyz"}
    )
