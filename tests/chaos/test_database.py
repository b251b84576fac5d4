"""A database that goes away, comes back, or is not the one that the code knows: 11, 12 and 34."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep

import pytest
from house import PATIENCE
from scene import Scene
from services import Postgres
from sqlalchemy import text
from stage import Stage

from models_store.errors import Unavailable
from models_store.store import SCHEMA


@pytest.fixture(scope="module")
def opened(stage: Stage) -> Scene:
    scene = stage.server(stage.own_redis())
    scene.house.open_api()
    return scene


@pytest.fixture
def server(opened: Scene) -> Iterator[Scene]:
    yield opened
    opened.check()


def test_fm11_a_database_that_restarts_costs_some_503s_and_nothing_else(
    server: Scene, postgres: Postgres
) -> None:
    server.workers(1)
    client, enough, accepted = server.house.client, Event(), []

    def load(number: int) -> Counter[tuple[int, str | None]]:
        seen: Counter[tuple[int, str | None]] = Counter()
        while not enough.is_set():
            seen_one = client.get("/forget-requests")
            seen[seen_one.status_code, seen_one.headers.get("Retry-After")] += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load, number) for number in range(3)]
        sleep(0.5)
        postgres.kill()
        away = client.post("/forget-requests", json=server.body())
        postgres.start()
        accepted = [server.ask(), server.ask()]
        enough.set()
        answers = sum((load.result() for load in loads), Counter())

    assert away.status_code == 503
    assert away.headers["Retry-After"] == "2"
    assert away.headers["Content-Type"] == "application/problem+json"
    assert set(answers) <= {(200, None), (503, "2")}
    for request in accepted:
        assert server.met(request)


def test_fm12_a_worker_without_a_database_past_its_lease_publishes_nothing(
    server: Scene, postgres: Postgres
) -> None:
    server.workers(1)
    server.hold("worker_step")
    request = server.ask()
    server.wait(lambda: server.went_off)

    postgres.stop()
    sleep(8)  # the lease is 5 s
    postgres.start()
    server.release()

    assert server.met(request)
    assert server.outcomes(request) == ["failed", "succeeded"]


def test_fm12_a_short_absence_of_the_database_costs_no_attempt(
    server: Scene, postgres: Postgres
) -> None:
    for room in server.workers(1):
        room.kill()
    server.house.open_worker(queues="exact", LETHE_LEASE="PT60S")
    server.hold("worker_step")
    request = server.ask()
    server.wait(lambda: server.went_off)

    postgres.restart()
    server.release()

    assert server.met(request)
    assert server.outcomes(request) == ["succeeded"]


@pytest.mark.parametrize("mode", ["embedded", "server"])
def test_fm34_other_tables_than_ours_are_refused_by_both_rooms(
    stage: Stage, opened: Scene, mode: str
) -> None:
    scene = opened if mode == "server" else stage.embedded()
    if mode == "embedded":
        scene.house.open_api()

    _say_migration(scene, "0000")
    ready = scene.house.client.get("/readyz")
    worker = scene.house.open_worker(warm=False)
    code = worker.process.wait(PATIENCE)
    _say_migration(scene, SCHEMA)

    assert ready.status_code == 503
    assert (ready.json()["found"], ready.json()["needed"]) == ("0000", SCHEMA)
    assert code == 1
    assert "run `lethe migrate`" in worker.said
    assert scene.house.client.get("/readyz").status_code == 200
    scene.check()


def _say_migration(scene: Scene, number: str) -> None:
    with scene.store.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})


def test_a_store_without_its_database_says_so(server: Scene, postgres: Postgres) -> None:
    postgres.stop()
    with pytest.raises(Unavailable), server.store.read() as db:
        db.execute(text("SELECT 1"))
    postgres.start()

    with server.store.read() as db:
        assert db.execute(text("SELECT 1")).scalar_one() == 1
