"""The same request sent again is the same request, however many send it at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient
from world import World

from models_store.tables import ForgetRequest

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def rows(world: World, table: type) -> int:
    with world.store.read() as db:
        return db.query(table).count()


def test_the_same_key_and_body_replay_the_answer(door: TestClient, world: World) -> None:
    first = door.post("/forget-requests", json=DEER, headers={"Idempotency-Key": '"abc"'})
    again = door.post(
        "/forget-requests",
        content=b'{"target": {"label": "deer", "kind": "class"}, "model": "zoo"}',
        headers={"Idempotency-Key": "abc", "Content-Type": "application/json"},
    )

    assert (first.status_code, again.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert rows(world, ForgetRequest) == 1


def test_the_same_key_with_another_body_is_refused(door: TestClient, world: World) -> None:
    first = door.post("/forget-requests", json=DEER, headers={"Idempotency-Key": "abc"})

    other = door.post(
        "/forget-requests", json={**DEER, "note": "?"}, headers={"Idempotency-Key": "abc"}
    )

    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    assert other.json()["request"] == first.json()["id"]


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, '"unclosed', "sn\u00f6"])
def test_a_malformed_key_is_refused(door: TestClient, world: World, key: str) -> None:
    answer = door.post(
        "/forget-requests", json=DEER, headers={"Idempotency-Key": key.encode("latin-1")}
    )

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-key")


def race(door: TestClient, threads: int = 32) -> list[Any]:
    """Post the same request with the same key from many threads in the same moment."""
    barrier = Barrier(threads)

    def post(_: int) -> Any:
        barrier.wait()
        return door.post("/forget-requests", json=DEER, headers={"Idempotency-Key": "race"})

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(post, range(threads)))


def test_of_32_concurrent_posts_one_creates_and_the_others_replay(
    door: TestClient, world: World
) -> None:
    answers = race(door)

    assert [answer.status_code for answer in answers] == [202] * 32
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 31
    assert rows(world, ForgetRequest) == 1


def test_the_race_ends_the_same_on_postgresql(postgres_world: tuple[TestClient, World]) -> None:
    door, world = postgres_world

    answers = race(door)

    assert [answer.status_code for answer in answers] == [202] * 32
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 31
    assert rows(world, ForgetRequest) == 1
