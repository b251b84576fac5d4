"""Versions: shown, downloaded, promoted, revoked."""

import hashlib
from base64 import b64encode

import pytest
from fastapi.testclient import TestClient
from world import World, add_version

from models_store.life import JobKind
from models_store.tables import Job

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def test_versions_are_shown_by_number_active_and_latest(door: TestClient, world: World) -> None:
    add_version(world.store, world.model_id)

    listed = door.get("/models/zoo/versions").json()["items"]

    assert [(v["number"], v["state"]) for v in listed] == [(2, "active"), (1, "superseded")]
    for which in ("2", "active", "latest"):
        assert door.get(f"/models/zoo/versions/{which}").json() == listed[0]
    for which in ("3", "0", "-1", "newest", "99999999999"):
        assert door.get(f"/models/zoo/versions/{which}").status_code == 404


def test_versions_are_paged(door: TestClient, world: World) -> None:
    add_version(world.store, world.model_id)

    first = door.get("/models/zoo/versions?page_size=1").json()
    second = door.get(
        "/models/zoo/versions",
        params={"page_size": 1, "page_token": first["next_page_token"]},
    ).json()

    assert [item["number"] for item in first["items"] + second["items"]] == [2, 1]
    assert second["next_page_token"] is None


WEIGHTS = b"first weights 1"


def test_weights_are_downloaded_whole_with_their_digest(door: TestClient, world: World) -> None:
    answer = door.get("/models/zoo/versions/active/weights")

    digest = hashlib.sha256(WEIGHTS)
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{b64encode(digest.digest()).decode()}:"
    assert answer.headers["accept-ranges"] == "bytes"
    known = {"If-None-Match": answer.headers["etag"]}
    assert door.get("/models/zoo/versions/1/weights", headers=known).status_code == 304


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-4", 206, WEIGHTS[:5]),
        ("bytes=6-", 206, WEIGHTS[6:]),
        ("bytes=-3", 206, WEIGHTS[-3:]),
        ("bytes=-300", 206, WEIGHTS),
        ("bytes=3-300", 206, WEIGHTS[3:]),
        ("bytes=5-2", 200, WEIGHTS),
        ("bytes=nonsense", 200, WEIGHTS),
        ("lines=1-2", 200, WEIGHTS),
        ("bytes=0-1,3-4", 200, WEIGHTS),
        ("bytes=15-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_a_range_is_served_refused_or_ignored(
    door: TestClient, world: World, wanted: str, status: int, content: bytes | None
) -> None:
    answer = door.get("/models/zoo/versions/1/weights", headers={"Range": wanted})

    assert answer.status_code == status
    if content is None:
        assert answer.headers["content-range"] == "bytes */15"
        assert answer.json()["type"] == "/problems/range-not-satisfiable"
    else:
        assert answer.content == content


def test_a_superseded_version_is_promoted_or_revoked(door: TestClient, world: World) -> None:
    add_version(world.store, world.model_id)

    promoted = door.post("/models/zoo/versions/1/promote")
    served = door.post("/models/zoo/versions/1/revoke")
    revoked = door.post("/models/zoo/versions/2/revoke")
    gone = door.get("/models/zoo/versions/2/weights")

    assert (promoted.status_code, promoted.json()["state"]) == (200, "active")
    assert (served.status_code, served.json()["type"]) == (409, "/problems/invalid-transition")
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    assert (gone.status_code, gone.json()["successor"]) == (410, 1)
    assert door.post("/models/zoo/versions/2/promote").status_code == 409


def test_a_version_that_remembers_is_not_promoted(door: TestClient, world: World) -> None:
    request = door.post("/forget-requests", json=DEER).json()
    with world.store.read() as db:
        (job,) = db.query(Job).filter(Job.kind == JobKind.FORGET)
    world.publish(*world.begin(job.id))

    answer = door.post("/models/zoo/versions/1/promote")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/remembers-erased-data")
    assert answer.json()["requests"] == [request["id"]]
    assert answer.json()["newest_clean"] == 2
