"""Callers that are many, impatient, huge or hostile: failure modes 29, 37 to 39 and 41."""

import json
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import psutil
import pytest
from scene import Scene
from sqlalchemy import text

from models_store.life import RequestStatus

MIB = 1 << 20


def post(scene: Scene, body: Any, **headers: str) -> httpx.Response:
    return scene.house.client.post("/forget-requests", json=body, headers=headers)


def test_fm29_one_key_for_two_payloads_is_refused(scene: Scene) -> None:
    first = post(scene, scene.body(), **{"Idempotency-Key": "twice"})

    second = post(scene, scene.body(), **{"Idempotency-Key": "twice"})

    assert (first.status_code, second.status_code) == (202, 422)
    assert second.json()["type"] == "/problems/key-reused"
    assert second.json()["request"] == first.json()["id"]


def test_fm37_two_hundred_live_streams_leave_room_for_everybody_else(scene: Scene) -> None:
    request = scene.ask()
    headers = {**scene.house.client.headers, "Accept": "text/event-stream"}
    limits = httpx.Limits(max_connections=None)
    with (
        ExitStack() as streams,
        httpx.Client(base_url=scene.house.client.base_url, limits=limits, timeout=60) as many,
    ):
        for _ in range(200):
            stream = many.stream("GET", f"/forget-requests/{request}/events", headers=headers)
            assert streams.enter_context(stream).status_code == 200

        answer = scene.house.client.get(f"/forget-requests/{request}")

    assert answer.status_code == 200


def test_fm38_five_hundred_polls_are_answered_from_the_etag(scene: Scene) -> None:
    url = f"/forget-requests/{scene.ask()}"
    tag = {"If-None-Match": scene.house.client.get(url).headers["ETag"]}

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: scene.house.client.get(url, headers=tag), range(500)))

    assert {answer.status_code for answer in answers} == {304}
    assert not any(answer.content for answer in answers)


HOSTILE = {
    "deep": "[" * 100_000,
    "a million ids": json.dumps(
        {"model": "digits-0", "target": {"kind": "samples", "sample_ids": ["x"] * 1_000_000}}
    ),
    "a lone surrogate": json.dumps(
        {"model": "digits-0", "target": {"kind": "samples", "sample_ids": ["\ud800"]}}
    ),
    "a nul": json.dumps(
        {"model": "digits-0", "target": {"kind": "samples", "sample_ids": ["\x00"]}}
    ),
    "not a number": '{"model": "digits-0", "target": {"kind": "class", "label": NaN}}',
    "an unknown field": '{"model": "digits-0", "target": {"kind": "class", "label": 1}, "x": 1}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_fm39_a_hostile_body_is_refused_in_words(scene: Scene, body: str) -> None:
    answer = scene.house.client.post(
        "/forget-requests", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in {400, 413, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_fm39_a_body_of_a_hundred_megabytes_is_cut_off_in_constant_memory(scene: Scene) -> None:
    [room] = [room for room in scene.house.rooms if room.log.name.startswith("api")]
    api = psutil.Process(room.process.pid)
    before = api.memory_info().rss

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * MIB

    try:
        status = scene.house.client.post(
            "/forget-requests", content=endless(), headers={"Content-Type": "application/json"}
        ).status_code
    except httpx.TransportError:
        status = 413  # the door may close before all has been said

    assert status == 413
    assert api.memory_info().rss - before < 64 * MIB
    assert scene.house.client.get("/livez").status_code == 200


def test_fm23_an_upload_that_the_disk_has_no_room_for_is_refused_and_leaves_nothing(
    scene: Scene,
) -> None:
    [room] = [room for room in scene.house.rooms if room.log.name.startswith("api")]
    before = {path.name for path in scene.store.blobs.listed()}
    small = (12 * MIB, resource.RLIM_INFINITY)  # the kernel refuses to let any file grow beyond
    unlimited = resource.prlimit(room.process.pid, resource.RLIMIT_FSIZE, small)
    answer = scene.house.client.post(
        "/models/digits-0/versions",
        data={"meta": "{}"},
        files={"file": bytes(12 * MIB + MIB // 2)},
    )
    resource.prlimit(room.process.pid, resource.RLIMIT_FSIZE, unlimited)

    assert (answer.status_code, answer.json()["type"]) == (507, "/problems/storage-full")
    assert {path.name for path in scene.store.blobs.listed()} == before
    assert scene.house.client.get("/livez").status_code == 200


UNGUARD = {
    "sqlite": "DROP TRIGGER events_no_update",
    "postgresql": "ALTER TABLE events DISABLE TRIGGER events_append_only",
}
"""What only the owner of the database may do."""


def test_fm41_a_row_of_the_record_that_was_tampered_with_is_named(scene: Scene) -> None:
    request = scene.request(scene.ask())
    path = f"/models/{request.model_id}/audit/verify"
    before = scene.house.get(path)
    seq = scene.house.get(f"/forget-requests/{request.id}/events")["items"][0]["seq"]
    with scene.store.begin() as db:
        db.execute(text(UNGUARD[scene.store.engine.dialect.name]))
        payload = text("SELECT payload FROM events WHERE seq = :seq")
        original = db.execute(payload, {"seq": seq}).scalar_one()
        tamper(db, seq, original.replace("accepted", "rejected"))
    after = scene.house.get(path)
    with scene.store.begin() as db:
        tamper(db, seq, original)

    assert before["valid"]
    assert not after["valid"]
    assert after["first_bad"] == seq
    assert request.status is RequestStatus.QUEUED


def tamper(db: Any, seq: int, payload: str) -> None:
    db.execute(
        text("UPDATE events SET payload = :payload WHERE seq = :seq"),
        {"payload": payload, "seq": seq},
    )
