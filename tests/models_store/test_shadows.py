"""What shadows say, as the store keeps it: for as long as their job lasts, and no longer."""

import pytest
import world as made
from certified import GRANTED, begun, order, spoken
from sqlalchemy import func, select
from world import World

from models_store import desk, erasure, jobs, outcomes, retention, shadows
from models_store.errors import LostClaim
from models_store.life import JobKind, JobStatus
from models_store.store import Store
from models_store.tables import Job, Shadow


@pytest.fixture
def world(store: Store) -> World:
    return made.furnish(store)


def test_a_later_attempt_finds_what_shadows_said_and_an_earlier_one_adds_nothing(
    world: World,
) -> None:
    row = order(world)
    first, _ = begun(world, row.job_id)
    spoken(world, first, 0)
    with world.store.begin() as db:
        jobs.give_back(db, first, "makes way")

    second, series = begun(world, row.job_id)

    assert [shadow.number for shadow in series.shadows] == [0]
    with pytest.raises(LostClaim):
        spoken(world, first, 1)
    spoken(world, second, 1)


def test_what_shadows_said_goes_when_the_job_has_ended_however_it_ends(world: World) -> None:
    done, withdrawn, died = (order(world, params={"epochs": each}) for each in (1, 2, 3))
    (claim, series), (other, _) = begun(world, done.job_id), begun(world, withdrawn.job_id)
    last, _ = begun(world, died.job_id)
    said, waited, left = (spoken(world, each, 0) for each in (claim, other, last))
    with world.store.begin() as db:
        assert desk.leftovers(db, done.job_id) == []  # it still runs
        assert erasure.owned(db, said)
        shadows.finish(db, claim, series, GRANTED)
        jobs.give_back(db, other, "makes way")
        by_the_door = desk.withdraw(db, db.get_one(Job, withdrawn.job_id), "certificate", "me")
        outcomes.was_cancelled(db, last)  # and then its worker dies

    with world.store.begin() as db:
        by_the_worker = desk.leftovers(db, done.job_id)
        due = retention.models_to_tend(db)
        erasing = retention.tend(db, world.model_id)
        by_the_leader = shadows.clear(db, died.job_id)

    assert (by_the_worker, by_the_door) == ([said], [waited])
    assert due == [world.model_id]
    assert erasing is not None
    assert erasing.kind is JobKind.ERASE
    assert by_the_leader == [left]
    with world.store.read() as db:
        assert db.scalar(select(func.count()).select_from(Shadow)) == 0
        assert retention.models_to_tend(db) == []
        assert db.get_one(Job, withdrawn.job_id).status is JobStatus.CANCELLED
