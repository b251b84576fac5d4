"""Weights on their way in: streamed, checked, and without a trace when refused."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from fastapi.testclient import TestClient
from forms import form, safetensors, send
from world import RECIPE, World

from models_store.tables import Version, VersionSample

Files = Callable[[], list[str]]


def upload(door: TestClient, meta: Any, file: bytes) -> Any:
    return send(door, "/models/zoo/versions", form(meta, file))


def test_weights_are_uploaded_and_checked_by_a_job(door: TestClient, world: World) -> None:
    answer = upload(
        door, {"trained_on": {"splits": ["train"]}, "recipe": RECIPE}, safetensors(1, 2)
    )

    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["number"], body["state"], body["method"]) == (2, "checking", "import")
    assert answer.headers["location"] == f"/models/{world.model_id}/versions/2"
    assert world.store.blobs.read(body["digest"]) == safetensors(1, 2)
    job = door.get(f"/jobs/{body['job']}").json()
    assert (job["kind"], job["status"], job["model_name"]) == ("check", "queued", "zoo")
    assert door.get(answer.headers["location"]).headers["retry-after"] == "2"


def test_a_recipe_must_be_one_that_a_worker_knows(door: TestClient, world: World) -> None:
    answer = upload(door, {"recipe": {"epochs": -1}}, safetensors(1))

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-params")


def test_what_a_version_was_trained_on_may_be_a_list(door: TestClient, world: World) -> None:
    ids = ["train/cat/00", "train/deer/03"]

    answer = upload(door, {"trained_on": {"sample_ids": ids}}, safetensors(1))

    assert answer.json()["trained_on"] == {"listed": 2}
    with world.store.read() as db:
        assert [row.position for row in db.query(VersionSample)] == [10, 23]


@pytest.mark.parametrize(
    ("meta", "file", "problem"),
    [
        ({"trained_on": {"sample_ids": ["nobody"]}}, safetensors(1), "unknown-samples"),
        ({"trained_on": {"splits": ["dream"]}}, safetensors(1), "unknown-samples"),
        ({"trained_on": {}}, safetensors(1), "validation"),
        ({"trained_on": {"splits": ["a"], "sample_ids": ["b"]}}, safetensors(1), "validation"),
        ({"trained_on": {"sample_ids": ["x"] * 101}}, safetensors(1), "too-large"),
        ({}, pickle.dumps({"w": 1}), "unsafe-format"),
        ({}, b"PK\x03\x04" + bytes(100), "unsafe-format"),
        ({}, safetensors(1)[:-1], "unsafe-format"),
        ({}, safetensors(1) + b"\0", "unsafe-format"),
        ({}, safetensors(1) * (1 << 15), "too-large"),
    ],
)
def test_refused_weights_leave_nothing_behind(
    door: TestClient, world: World, in_folder: Files, meta: Any, file: bytes, problem: str
) -> None:
    before = in_folder()

    answer = upload(door, meta, file)

    assert answer.json()["type"] == f"/problems/{problem}", answer.text
    assert in_folder() == before
    with world.store.read() as db:
        assert db.query(Version).count() == 1


def test_a_pickle_is_refused_with_the_way_out(
    door: TestClient, world: World, tmp_path: Path
) -> None:
    with ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}))

    answer = upload(door, {}, (tmp_path / "model.pt").read_bytes())

    assert answer.status_code == 415
    assert "safetensors.torch.save_file" in answer.json()["detail"]


def test_weights_for_a_model_that_is_not_there_are_not_found(door: TestClient) -> None:
    answer = send(door, "/models/nobody/versions", form({}, safetensors(1)))

    assert answer.status_code == 404
