"""A Redis that restarts, is down, hangs, forgets or is full: failure modes 5 to 10 and 33."""

import os
from collections.abc import Iterator
from contextlib import suppress
from statistics import median
from time import monotonic, sleep
from uuid import UUID

import httpx
import pytest
from house import KEY, PATIENCE, Room
from scene import Scene
from services import Redis, free_port
from stage import Stage

from models_store.life import JOB_ENDED, JobStatus

QUICKLY = 1.5
"""Seconds within which a request is accepted, whatever the broker does."""


@pytest.fixture(scope="module")
def redis(stage: Stage) -> Redis:
    return stage.own_redis()


@pytest.fixture(scope="module")
def opened(stage: Stage, redis: Redis) -> Scene:
    scene = stage.server(redis)
    scene.house.open_api()
    return scene


@pytest.fixture
def scene(opened: Scene, redis: Redis) -> Iterator[Scene]:
    opened.workers(1)
    yield opened
    assert redis.answers()
    opened.check()


def succeeds(scene: Scene, *requests: UUID) -> None:
    for request in requests:
        assert scene.met(request)


def ask_quickly(scene: Scene) -> list[UUID]:
    """Five requests, most of them accepted at once: a machine may be busy, a broker not in the way."""
    requests, seconds = [], []
    for _ in range(5):
        began = monotonic()
        requests.append(scene.ask())
        seconds.append(monotonic() - began)
    assert median(seconds) < QUICKLY
    return requests


def test_fm05_a_redis_that_restarts_disturbs_no_running_job_and_is_heard_again(
    scene: Scene, redis: Redis
) -> None:
    scene.hold("worker_step")
    running = scene.ask()
    scene.wait(lambda: scene.went_off)

    redis.restart()
    scene.release()
    succeeds(scene, running)
    redis.kill()
    redis.start()
    idle = scene.ask()

    succeeds(scene, idle)
    assert scene.outcomes(running) == ["succeeded"]


def test_fm06_requests_are_accepted_while_redis_is_down(scene: Scene, redis: Redis) -> None:
    redis.stop()
    requests = ask_quickly(scene)
    answer = scene.house.client.get("/readyz")
    waiting = {scene.job(request).status for request in requests}
    redis.start()

    assert answer.json() == {"status": "degraded", "broker": False}
    assert waiting == {JobStatus.QUEUED}
    succeeds(scene, *requests)


def test_fm07_requests_are_accepted_while_redis_hangs(scene: Scene, redis: Redis) -> None:
    redis.pause()
    requests = ask_quickly(scene)
    redis.resume()

    succeeds(scene, *requests)


def test_fm08_jobs_are_rung_for_again_when_redis_has_forgotten_everything(
    scene: Scene, redis: Redis
) -> None:
    scene.hold("worker_step")
    running = scene.ask()
    scene.wait(lambda: scene.went_off)
    queued = [scene.ask() for _ in range(2)]
    scene.wait(lambda: all(scene.job(request).rung_at for request in queued))

    redis.client().flushall()
    scene.release()

    succeeds(scene, running, *queued)


def test_fm09_a_full_redis_fails_no_request(scene: Scene, redis: Redis) -> None:
    [old] = scene.workers(1)
    old.kill()
    scene.house.open_worker(queues="exact", LETHE_DEAF_AFTER="PT4S")
    redis.client().config_set("maxmemory", "1")
    requests = ask_quickly(scene)
    scene.wait(lambda: "lethe_jobs_unrung 5.0" in scene.house.client.get("/metrics").text)
    waiting = {scene.job(request).status for request in requests}
    redis.client().config_set("maxmemory", "0")

    assert waiting == {JobStatus.QUEUED}
    # A full Redis refuses the worker's own commands too, and Celery does not always get over it.
    for request in requests:
        scene.wait(lambda at=request: bool(scene.workers(1)) and scene.job(at).status in JOB_ENDED)
    succeeds(scene, *requests)


def test_fm10_an_api_and_a_worker_start_without_redis(scene: Scene, redis: Redis) -> None:
    redis.stop()
    port = free_port()
    api = scene.house.open_api(port)
    ready = httpx.get(f"http://127.0.0.1:{port}/readyz").json()["status"]
    [old] = scene.workers(1)
    old.kill()
    room = scene.house.open_worker(queues="exact", warm=False)
    answer = httpx.post(
        f"http://127.0.0.1:{port}/forget-requests",
        json=scene.body(),
        headers={"Authorization": f"Bearer {KEY}"},
    )
    sleep(2)
    alive = room.process.poll() is None
    redis.start()

    assert (ready, answer.status_code, alive) == ("degraded", 202, True)
    succeeds(scene, UUID(answer.json()["id"]))
    api.kill()
    scene.house.rooms.remove(api)


def test_fm15_a_leader_that_dies_between_its_note_and_its_ring_has_the_bell_rung_again(
    scene: Scene,
) -> None:
    body, key = scene.body(), {"Idempotency-Key": "unheard"}
    scene.arm(relay_before__ring="exit")
    with suppress(httpx.TransportError):  # it may die before it has answered
        scene.house.client.post("/forget-requests", json=body, headers=key)
    scene.wait(lambda: scene.went_off)
    scene.reopen()

    again = scene.house.post("/forget-requests", 202, json=body, headers=key)

    succeeds(scene, UUID(again["id"]))


def test_fm33_a_worker_that_hears_nothing_ends_and_another_does_the_work(scene: Scene) -> None:
    [old] = scene.workers(1)
    old.kill()
    deaf = scene.house.open_worker(queues="exact", LETHE_DEAF_AFTER="PT3S")
    scene.wait(lambda: stopped_listening(scene, deaf))

    request = scene.ask()
    code = deaf.process.wait(PATIENCE)
    scene.workers(1)

    assert code == os.EX_UNAVAILABLE
    assert "no ring is heard" in deaf.said
    succeeds(scene, request)


def stopped_listening(scene: Scene, room: Room) -> bool:
    """Told so until it says so: a worker that has just started may not have heard it."""
    assert scene.store.bell.celery is not None
    scene.store.bell.celery.control.cancel_consumer("exact")
    return "Canceling queue exact" in room.said
