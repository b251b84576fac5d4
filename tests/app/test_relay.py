"""The relay rings, reaps and leads, whatever becomes of the broker and the database."""

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text, update
from world import World

from app.relay import Relay
from models_store import crew, desk
from models_store.crew import Badge
from models_store.life import JobStatus, Lane, Queue, RequestStatus
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import Job
from models_store.targets import Target

DEER = Target("class", label="deer")


@dataclass
class Recorded:
    """A bell in memory; it takes messages, or does not."""

    works: bool = True
    rung: list[UUID] = field(default_factory=list)

    def ring(self, job_id: UUID, attempt: int, queue: Queue) -> bool:
        del attempt, queue
        if self.works:
            self.rung.append(job_id)
        return self.works


def with_bell(store: Store, bell: Any) -> Store:
    timing = {"broker_url": "redis://nowhere", "relay_every": timedelta(seconds=0.05)}
    return replace(store, bell=bell, settings=store.settings.model_copy(update=timing))


def test_a_queued_job_is_rung_for_once(world: World) -> None:
    bell = Recorded()
    relay = Relay(with_bell(world.store, bell))
    request = world.ask(DEER)

    assert relay.round() == ""
    assert relay.round() == ""

    assert bell.rung == [request.job_id]


def test_what_a_broker_did_not_take_is_rung_again(world: World) -> None:
    bell = Recorded(works=False)
    relay = Relay(with_bell(world.store, bell))
    first, second = world.ask(DEER), world.ask(DEER, lane=Lane.QUALITY)

    trouble = relay.round()
    bell.works = True
    relay.round()

    assert "broker" in trouble
    assert sorted(bell.rung) == sorted([first.job_id, second.job_id])


def test_a_ring_that_was_lost_is_repeated_as_long_as_a_worker_of_the_queue_is_idle(
    world: World,
) -> None:
    bell = Recorded()
    store = with_bell(world.store, bell)
    at_once = store.settings.model_copy(update={"reap_every": timedelta()})
    relay = Relay(replace(store, settings=at_once))
    idle = Badge(name="worker-1", queues=["fast"], device="cpu", host="here", pid=1, software={})
    fast, quality = world.ask(DEER), world.ask(DEER, lane=Lane.QUALITY)

    relay.round()
    nobody_there = list(bell.rung)
    relay.round()
    with world.store.begin() as db:
        crew.sign_in(db, idle)
    relay.round()
    while_it_warms_up = list(bell.rung)
    with world.store.begin() as db:
        crew.tell(db, idle.name, {"nets": {}})
    relay.round()
    world.begin(fast.job_id)
    relay.round()

    assert while_it_warms_up == nobody_there
    assert sorted(nobody_there) == sorted([fast.job_id, quality.job_id])
    assert bell.rung == [*nobody_there, fast.job_id]


def test_only_the_leader_rings_unless_woken(world: World) -> None:
    bell = Recorded()
    store = with_bell(world.store, bell)
    leader, other = Relay(store), Relay(store)
    leader.round()
    request = world.ask(DEER)

    other.round()
    quiet = list(bell.rung)
    other.round(woken=True)

    assert quiet == []
    assert bell.rung == [request.job_id]


def test_a_lost_job_goes_back_to_the_queue(world: World) -> None:
    request = world.ask(DEER)
    claim, _ = world.begin(request.job_id)
    with world.store.begin() as db:
        db.execute(text("UPDATE jobs SET lease_expires_at = '2000-01-01 00:00:00.000000'"))

    Relay(world.store).round()

    with world.store.read() as db:
        job = db.get_one(Job, claim.job_id)
        assert (job.status, job.failures) == (JobStatus.QUEUED, 1)
        assert desk.lost(db) == []
    assert world.request(request.id).status is RequestStatus.RUNNING


def test_a_job_that_was_lost_for_the_last_time_leaves_no_checkpoint(world: World) -> None:
    request = world.ask(DEER)
    checkpoint = world.paused(request.job_id)
    world.begin(request.job_id)
    with world.store.begin() as db:
        last = {"lease_expires_at": datetime(2000, 1, 1, tzinfo=UTC), "failures": 2}
        db.execute(update(Job).values(last))

    Relay(world.store).round()

    assert world.request(request.id).status is RequestStatus.FAILED
    assert not world.store.blobs.path(checkpoint).exists()


def test_another_relay_leads_at_once_after_a_good_stop(world: World) -> None:
    relay = Relay(world.store)
    relay.round()
    relay.start()
    refused = leads(world.store)

    relay.stop()

    assert refused is False
    assert leads(world.store) is True


def leads(store: Store) -> bool:
    with store.begin() as db:
        return crew.lead(db, "somebody else", store.settings)


def wait_until(true: Any, seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_the_door_wakes_its_relay_after_a_request(app: FastAPI, world: World) -> None:
    bell = Recorded()
    relay = Relay(with_bell(world.store, bell))
    relay.start()
    request = world.ask(DEER)

    relay.wake()
    wait_until(lambda: bell.rung)
    relay.stop()

    assert bell.rung == [request.job_id]


def test_it_outlives_a_database_that_goes_away(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bell = Recorded()
    store = with_bell(world.store, bell)
    database, aside = store.settings.home / "lethe.db", store.settings.home / "aside.db"
    caplog.set_level(logging.INFO)
    relay = Relay(store)
    store.engine.dispose()

    move_away(database, aside)
    relay.start()
    wait_until(lambda: "does not answer" in caplog.text)
    bring_back(database, aside)
    request = world.ask(DEER)
    wait_until(lambda: bell.rung)
    relay.stop()

    assert bell.rung == [request.job_id]
    assert caplog.text.count("does not answer") == 1
    assert "works again" in caplog.text


def move_away(database: Path, aside: Path) -> None:
    for path in database.parent.glob("lethe.db-*"):
        path.unlink()
    database.rename(aside)
    database.symlink_to(database)  # which leads nowhere; a rename puts the file back in one step


def bring_back(database: Path, aside: Path) -> None:
    aside.rename(database)


def test_without_a_broker_nobody_is_rung_for(world: World, settings: Settings) -> None:
    assert settings.broker_url is None
    world.ask(DEER)

    Relay(world.store).round()

    with world.store.read() as db:
        assert all(job.rung_at is None for job in db.query(Job))
