"""Clocks that are wrong, on a worker or in the database: failure modes 26 and 27."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import invariants
import pytest
from house import KEY
from scene import Scene
from services import Postgres, free_port, not_run
from sqlalchemy import select, text
from stage import Stage
from world import World, furnish, samples

from models_store import desk, events
from models_store.life import VersionState
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import ForgetRequest, Version


def wrong_by(hours: str) -> dict[str, str]:
    """An environment in which the clocks are wrong."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        not_run("libfaketime is not installed (Debian: apt-get install libfaketime)")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": hours}


def test_fm26_an_api_two_hours_behind_and_a_worker_two_hours_ahead_agree_by_the_database(
    stage: Stage,
) -> None:
    scene: Scene = stage.server(stage.own_redis())
    port = free_port()
    scene.house.port = port
    scene.house.open_api(port, **wrong_by("-2h"))
    scene.house.client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
    room = scene.house.open_worker(queues="exact", warm=False, **wrong_by("+2h"))
    answer = httpx.post(
        f"http://127.0.0.1:{port}/forget-requests",
        json=scene.body(),
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=30,
    )

    done = scene.ended(UUID(answer.json()["id"]))

    assert scene.met(done.id), room.said[-2000:]
    assert scene.outcomes(done.id) == ["succeeded"]
    with scene.store.read() as db:
        now = events.moment(db)
    assert abs(now - done.received_at) < timedelta(minutes=10)
    assert done.finished_at is not None
    assert done.received_at < done.finished_at <= now
    scene.check()


SKEWED = (
    "CREATE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
    "'SELECT pg_catalog.clock_timestamp() + make_interval(hours => hours) FROM skewed.shift'"
)


@pytest.fixture
def clock(postgres: Postgres, postgres_template: str, tmp_path: Path) -> Iterator[World]:
    """A world whose database reads its clock through a function that a test may shift."""
    name = postgres.create_database(postgres_template)
    for statement in (
        "CREATE SCHEMA skewed",
        "CREATE TABLE skewed.shift (hours int)",
        "INSERT INTO skewed.shift VALUES (0)",
        SKEWED,
        f"ALTER DATABASE {name} SET search_path = skewed, pg_catalog, public",
    ):
        postgres.execute(statement, name)
    settings = Settings(home=tmp_path, database_url=postgres.url(name), blobs=tmp_path / "blobs")
    store = Store.open(settings)
    yield furnish(store)
    store.close()
    postgres.drop_database(name)


def shift(world: World, hours: int) -> None:
    with world.store.begin() as db:
        db.execute(text("UPDATE skewed.shift SET hours = :hours"), {"hours": hours})


def test_fm27_a_database_clock_that_steps_back_reorders_nothing(clock: World) -> None:
    first = clock.ask(samples("train/cat/00"))
    claim, rung = clock.begin(first.job_id)
    shift(clock, -2)
    second = clock.ask(samples("train/cat/01"))
    clock.publish(claim, rung)
    clock.serve_request(second)

    with clock.store.read() as db:
        rows = db.execute(select(Version.number, Version.state).order_by(Version.number)).all()
        asked = list(db.scalars(select(ForgetRequest.id).order_by(ForgetRequest.id)))
        times = list(db.scalars(select(ForgetRequest.received_at).order_by(ForgetRequest.id)))
    assert [tuple(row) for row in rows] == [
        (1, VersionState.SUPERSEDED), (2, VersionState.SUPERSEDED), (3, VersionState.ACTIVE)
    ]  # fmt: skip
    assert asked == [first.id, second.id]
    assert times[0] - times[1] > timedelta(hours=1)
    invariants.hold(clock.store)


def test_fm27_a_clock_that_steps_forward_costs_an_attempt_and_no_request(clock: World) -> None:
    request = clock.ask(samples("train/cat/00"))
    clock.begin(request.job_id)
    shift(clock, 2)

    with clock.store.read() as db:
        lost = desk.lost(db)
    for job_id in lost:
        with clock.store.begin() as db:
            assert desk.reap(db, job_id, clock.store.settings)

    assert lost == [request.job_id]
    assert clock.serve_request(request).number == 2
    invariants.hold(clock.store)
