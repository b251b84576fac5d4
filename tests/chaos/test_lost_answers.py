"""Answers that get lost at the worst moment, and APIs that die: modes 13 to 16, 42 and 43."""

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from house import KEY
from scene import Scene
from services import free_port
from sqlalchemy import func, select

from models_store.life import RequestStatus
from models_store.tables import ForgetRequest, Lock, Version


def knock(scene: Scene, body: dict[str, Any], key: str) -> httpx.Response:
    return scene.house.client.post("/forget-requests", json=body, headers={"Idempotency-Key": key})


def named(scene: Scene, key: str) -> int:
    """How many requests stand under this key."""
    with scene.store.read() as db:
        count = select(func.count()).select_from(ForgetRequest).where(ForgetRequest.key == key)
        return db.scalar(count) or 0


def reopen(scene: Scene) -> None:
    """The supervisor's part: an API that has ended is started again on its port."""
    dead = [room for room in scene.house.rooms if room.log.name.startswith("api")]
    for room in dead:
        room.process.wait(20)
        scene.house.rooms.remove(room)
    scene.house.open_api()


def test_fm13_a_database_lost_before_the_commit_costs_an_attempt_and_no_version(
    scene: Scene,
) -> None:
    scene.workers(1)
    scene.arm(publish_before__commit="away")
    request = scene.ask()

    assert scene.ended(request).status is RequestStatus.SUCCEEDED
    assert scene.went_off
    assert scene.outcomes(request) == ["failed", "succeeded"]


def test_fm14_a_commit_whose_answer_is_lost_is_not_made_twice(scene: Scene) -> None:
    scene.workers(1)
    scene.arm(publish_after__commit="away")
    request = scene.ask()

    done = scene.ended(request)

    assert done.status is RequestStatus.SUCCEEDED
    assert scene.outcomes(request) == ["succeeded"]
    with scene.store.read() as db:
        made = select(func.count()).where(
            Version.model_id == done.model_id, Version.job_id == done.job_id
        )
        assert db.scalar(made) == 1


def test_fm14_a_submission_whose_answer_is_lost_is_found_under_its_key(scene: Scene) -> None:
    scene.workers(1)
    body = scene.body()
    scene.arm(submit_after__commit="away")
    first = knock(scene, body, "lost")

    again = knock(scene, body, "lost")

    assert (first.status_code, first.headers["Retry-After"]) == (503, "2")
    assert again.status_code == 202
    assert named(scene, "lost") == 1
    assert scene.ended(UUID(again.json()["id"])).status is RequestStatus.SUCCEEDED


def test_fm15_an_api_that_dies_after_the_commit_has_accepted(scene: Scene) -> None:
    scene.workers(1)
    scene.arm(submit_after__commit="exit")
    with pytest.raises(httpx.TransportError):
        knock(scene, body := scene.body(), "after")
    reopen(scene)

    again = knock(scene, body, "after")

    assert again.headers["Idempotency-Replayed"] == "true"
    assert named(scene, "after") == 1
    assert scene.ended(UUID(again.json()["id"])).status is RequestStatus.SUCCEEDED


def test_fm16_an_api_that_dies_before_the_commit_has_accepted_nothing(scene: Scene) -> None:
    scene.workers(1)
    scene.arm(submit_before__commit="exit")
    with pytest.raises(httpx.TransportError):
        knock(scene, body := scene.body(), "before")
    assert named(scene, "before") == 0
    reopen(scene)

    again = knock(scene, body, "before")

    assert again.status_code == 202
    assert scene.ended(UUID(again.json()["id"])).status is RequestStatus.SUCCEEDED


def test_fm43_a_dead_leader_is_replaced_within_five_seconds(scene: Scene) -> None:
    production = {"LETHE_LEADER_LEASE": "PT3S", "LETHE_RELAY_EVERY": "PT1S"}
    [first] = [room for room in scene.house.rooms if room.log.name.startswith("api")]
    second = scene.house.open_api(free_port(), **production)
    leader = holder(scene)

    first.kill()
    scene.wait(lambda: holder(scene) != leader, within=5)

    scene.house.rooms.remove(first)
    scene.house.open_api()
    second.kill()
    scene.house.rooms.remove(second)


def holder(scene: Scene) -> str:
    with scene.store.read() as db:
        return db.scalars(select(Lock.holder)).one()


def test_fm42_an_api_that_must_stop_answers_what_it_has_begun(scene: Scene) -> None:
    request = scene.ask()
    port = free_port()
    room = scene.house.open_api(port)
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {KEY}"}
    bodies = [scene.body() for _ in range(4)]
    stream = httpx.stream(
        "GET",
        f"{url}/forget-requests/{request}/events",
        headers=headers | {"Accept": "text/event-stream"},
        timeout=30,
    )

    def post(body: dict[str, Any]) -> int:
        answer = httpx.post(f"{url}/forget-requests", json=body, headers=headers, timeout=30)
        return answer.status_code

    scene.arm(submit_after__commit="sleep:1")
    with stream as live, ThreadPoolExecutor(4) as pool:
        lines = live.iter_lines()
        assert next(lines).startswith("retry:")
        codes = pool.map(post, bodies)
        scene.wait(lambda: scene.went_off)
        room.send(signal.SIGTERM)
        told = list(lines)

    assert list(codes) == [202] * 4
    assert any(line.startswith("event: request.accepted") for line in told)
    assert room.process.wait(20) in {0, -signal.SIGTERM}
    scene.house.rooms.remove(room)
    scene.workers(1)
    assert scene.ended(request).status is RequestStatus.SUCCEEDED
