"""Datasets on their way in: streamed, bounded, and without a trace when refused."""

import json
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from forms import PARQUET, form, send
from world import World

from models_store.store import Store
from models_store.tables import Dataset, Job

Files = Callable[[], list[str]]


def test_a_dataset_is_uploaded_and_imported_by_a_job(
    door: TestClient, store: Store, in_folder: Files
) -> None:
    answer = door.post(
        "/datasets",
        data={"meta": json.dumps({"name": "pets", "class_names": ["cat"], "holdout_share": 0.1})},
        files={"file": ("pets.parquet", PARQUET)},
    )

    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/datasets/{body['id']}"
    assert body["state"] == "importing"
    with store.read() as db:
        job = db.query(Job).one()
    assert str(job.id) == body["job"]
    assert job.task == {
        "name": "pets",
        "upload": in_folder()[0],
        "class_names": ["cat"],
        "split": None,
        "resize": None,
        "holdout_share": 0.1,
    }
    assert store.blobs.read(job.task["upload"]) == PARQUET


def test_a_dataset_is_imported_from_a_path_below_a_root(
    door: TestClient, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "import" / "pets").mkdir(parents=True)

    answer = door.post(
        "/datasets",
        json={"name": "pets", "path": str(tmp_path / "import/pets"), "resize": [8, 8]},
    )

    assert answer.status_code == 202, answer.text
    with store.read() as db:
        task = db.query(Job).one().task
    assert task["path"] == str((tmp_path / "import/pets").resolve())
    assert task["resize"] == [8, 8]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "{root}/../secret", "{root}/link", "{root}/link/x", "import", "{root}x", "/"],
)
def test_a_path_outside_the_roots_is_refused(
    door: TestClient, world: World, tmp_path: Path, path: str
) -> None:
    root = tmp_path / "import"
    root.mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "importx").mkdir()
    (root / "link").symlink_to(tmp_path / "secret")

    answer = door.post("/datasets", json={"name": "x", "path": path.format(root=root)})

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden-path")
    assert datasets_in(world.store) == 1


def datasets_in(store: Store) -> int:
    with store.read() as db:
        return db.query(Dataset).count()


def test_a_path_that_is_not_there_is_not_found(door: TestClient, tmp_path: Path) -> None:
    answer = door.post("/datasets", json={"name": "x", "path": str(tmp_path / "import/nothing")})

    assert answer.status_code == 404
    nul = door.post("/datasets", json={"name": "x", "path": "/a\0b"})
    assert nul.status_code == 422


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (form({"name": "x"}, b"GIF89a" + bytes(100)), "unsafe-format"),
        (form({"name": "x"}, b""), "unsafe-format"),
        (form({"name": "x"}, pickle.dumps([1])), "unsafe-format"),
        (form({"name": "../x"}, PARQUET), "validation"),
        (form({"nome": "x"}, PARQUET), "validation"),
        (form({"name": "x", "holdout_share": 1.0}, PARQUET), "validation"),
        (form({"name": "x"}, PARQUET).replace(b'"meta"', b'"other"'), "malformed-body"),
        (form({"name": "x"}, PARQUET).replace(b'"file"', b'"other"'), "malformed-body"),
        (form({"name": "x"}, PARQUET)[:-10], "malformed-body"),
        (b"--xyz\r\nnothing at all", "malformed-body"),
        (b"", "malformed-body"),
        (form({"name": "x"}, PARQUET + bytes(1 << 20)), "too-large"),
        (form({"name": "x" * (1 << 16)}, PARQUET), "too-large"),
    ],
)
def test_a_refused_upload_leaves_nothing_behind(
    door: TestClient, store: Store, in_folder: Files, body: Any, problem: str
) -> None:
    answer = send(door, "/datasets", body)

    assert answer.json()["type"] == f"/problems/{problem}", answer.text
    assert answer.status_code in (400, 413, 415, 422)
    assert in_folder() == []
    assert datasets_in(store) == 0


def stream(app: FastAPI, pieces: Iterable[bytes], **headers: str) -> Any:
    """POST /datasets piece by piece, then hang up; the status, or None if none was sent."""

    async def call() -> Any:
        coming, answers = iter(pieces), []

        async def receive() -> dict[str, Any]:
            piece = next(coming, None)
            if piece is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": True}

        async def send(message: Any) -> None:
            answers.append(message)

        sent = {"host": "127.0.0.1", "content-type": "multipart/form-data; boundary=xyz"} | headers
        scope = {
            "type": "http", "method": "POST", "path": "/datasets", "raw_path": b"/datasets",
            "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }  # fmt: skip
        await app(scope, receive, send)
        return answers[0]["status"]

    return anyio.run(call)


BEGUN = form({"name": "x"}, PARQUET)[:-20]


def test_a_caller_who_hangs_up_leaves_nothing_behind(app: FastAPI, in_folder: Files) -> None:
    status = stream(app, [BEGUN])

    assert status == 400
    assert in_folder() == []


def test_an_upload_announced_too_large_is_refused_unread(app: FastAPI) -> None:
    pieces = iter([BEGUN])

    status = stream(app, pieces, **{"content-length": str(10**12)})

    assert status == 413
    assert next(pieces) == BEGUN


def test_an_endless_upload_is_cut_off_in_flat_memory(app: FastAPI, in_folder: Files) -> None:
    held: list[int] = []

    def endless() -> Iterator[bytes]:
        yield BEGUN
        while True:
            held.append(rss())
            yield bytes(1 << 18)

    status = stream(app, endless())

    assert status == 413
    assert len(held) < 8, "reading went on beyond the limit of 1 MiB"
    assert max(held) - held[0] < 20 << 20
    assert in_folder() == []


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_an_upload_of_another_content_type_is_refused(door: TestClient, store: Store) -> None:
    answer = door.post("/datasets", content=PARQUET, headers={"Content-Type": "text/plain"})

    assert (answer.status_code, answer.json()["type"]) == (
        415, "/problems/unsupported-media-type",
    )  # fmt: skip
