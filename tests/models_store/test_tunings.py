"""Tuning jobs as the store sees them: ordered, carried out, withdrawn."""

from typing import Any

import pytest
from tuned import CLASS, begun, furnish, order, row, tried, tuned
from world import World

from models_store import desk, jobs, outcomes, retention, tunings
from models_store.claims import Signal
from models_store.errors import InvalidParams, InvalidTransition, LostClaim, UnknownSamples
from models_store.life import Goal, JobStatus, Phase
from models_store.store import Store
from models_store.tables import Dataset, Job, Model


@pytest.fixture
def world(store: Store) -> World:
    return furnish(store)


def test_every_try_is_kept_and_one_of_them_is_the_result(world: World) -> None:
    job = tuned(world, 0.3, 0.1, 0.2)

    result = row(world, job).result
    assert result is not None
    assert (result["params"], result["gap"], result["gap_of_defaults"]) == ({"epochs": 1}, 0.1, 0.3)
    with world.store.read() as db:
        assert [trial.gap for trial in tunings.trials(db, job)] == [0.3, 0.1, 0.2]


def test_a_later_attempt_finds_what_was_tried_and_an_earlier_one_adds_nothing(world: World) -> None:
    job = order(world)
    first = begun(world, job)
    tried(world, first, 0.3)
    with world.store.begin() as db:
        jobs.give_back(db, first, "makes way")
    second = begun(world, job)

    with world.store.read() as db:
        assert [trial.number for trial in tunings.begin(db, second).trials] == [0]
    with pytest.raises(LostClaim):
        tried(world, first, 0.3)


def test_what_was_forgotten_is_not_rehearsed_with(world: World) -> None:
    world.serve_request(world.ask(CLASS))
    claim = begun(world, order(world, label="cat"))

    with world.store.read() as db:
        found = tunings.begin(db, claim)

    assert set(found.seen) - set(found.training) == set(found.forgotten) == set(range(20, 28))


def test_it_makes_way_for_a_fast_request_and_holds_up_none(world: World) -> None:
    claim = begun(world, order(world))
    request = world.ask(CLASS)

    with world.store.begin() as db:
        signal = jobs.beat(db, claim, world.store.settings, Phase.UNLEARNING)

    assert signal is Signal.GIVE_WAY
    world.serve_request(request)


@pytest.mark.parametrize(
    ("wanted", "refusal", "why"),
    [
        ({"method": "retrain"}, InvalidParams, "nothing to tune"),
        ({"method": "amnesiac"}, InvalidParams, "log_updates"),
        ({"method": "l2_sparse"}, InvalidParams, "nearest are l1_sparse"),
        ({"label": "unicorn"}, UnknownSamples, "unicorn"),
        ({"label": None, "size": 4}, InvalidParams, "hold-out"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    world: World, wanted: dict[str, Any], refusal: type[Exception], why: str
) -> None:
    with pytest.raises(refusal, match=why):
        order(world, **wanted)


def test_samples_are_tuned_where_there_is_a_hold_out(world: World) -> None:
    with world.store.begin() as db:
        dataset = db.get_one(Dataset, world.dataset_id)
        dataset.counts = {"train": 30, "holdout": 2, "test": 8}

    job = row(world, order(world, label=None, size=4))

    assert (job.task["size"], tunings.goal_of(job)) == (4, Goal.SAMPLES)


def test_a_waiting_tuning_is_cancelled_at_once_and_a_running_one_is_told(world: World) -> None:
    waiting, running = order(world), order(world, label="cat")
    claim = begun(world, running)
    for job in (waiting, running):
        with world.store.begin() as db:
            desk.withdraw(db, db.get_one(Job, job), "tuning", "me")

    assert row(world, waiting).status is JobStatus.CANCELLED
    with world.store.begin() as db:
        assert jobs.beat(db, claim, world.store.settings) is Signal.CANCEL
        outcomes.was_cancelled(db, claim)
    assert row(world, running).status is JobStatus.CANCELLED
    with world.store.begin() as db, pytest.raises(InvalidTransition):
        desk.withdraw(db, db.get_one(Job, running), "tuning", "me")


def test_the_version_that_is_tuned_stays_until_the_job_has_ended(world: World) -> None:
    with world.store.begin() as db:
        db.get_one(Model, world.model_id).policy = {"grace_seconds": 0}
    job = order(world)
    world.serve_request(world.ask(CLASS))
    with world.store.begin() as db:
        retention.tend(db, world.model_id)

    assert world.version(1).state == "superseded"
    with world.store.begin() as db:
        desk.withdraw(db, db.get_one(Job, job), "tuning", "me")
        retention.tend(db, world.model_id)
    assert world.version(1).state == "revoked"
