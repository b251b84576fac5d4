"""Certificates as the store sees them: ordered, decided, and what they cover."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import world as made
from certified import GRANTED, USE, begun, covering, decided, order
from sqlalchemy import update
from world import World

from models_store import desk, jobs, outcomes, shadows
from models_store.claims import Signal
from models_store.columns import now
from models_store.errors import InvalidParams, InvalidTransition, LostClaim, NoRecipe
from models_store.life import Goal, Grant, Phase
from models_store.store import Store
from models_store.tables import Certificate, Job
from models_store.targets import Target

CLASS = Target("class", label="deer")


@pytest.fixture
def world(store: Store) -> World:
    return made.furnish(store)


# ---- ordered and decided -------------------------------------------------------------------------


def test_what_is_ordered_waits_in_the_background_and_is_decided_once(world: World) -> None:
    row = order(world)
    claim, series = begun(world, row.job_id)
    request = world.ask(CLASS)

    with world.store.begin() as db:
        signal = jobs.beat(db, claim, world.store.settings, Phase.TRAINING)
    with world.store.begin() as db:
        done = shadows.finish(db, claim, series, GRANTED)

    assert signal is Signal.GIVE_WAY
    world.serve_request(request)
    assert (row.verdict, row.goal, row.size) == (None, Goal.SAMPLES, 5)
    assert (done.verdict, done.trained, done.attempt) == (Grant.GRANTED, 32, 1)
    assert done.expires_at is not None
    assert done.granted_at is not None
    assert (done.expires_at - done.granted_at).days == 90
    assert series.training == [r.position for r in made.rows() if r.split == "train"]
    with pytest.raises(LostClaim), world.store.begin() as db:
        shadows.finish(db, claim, series, GRANTED)


def test_the_same_again_is_another_attempt(world: World) -> None:
    decided(world)
    decided(world, params={"epochs": 9})

    _, series = begun(world, order(world).job_id)

    assert series.attempt == 2


@pytest.mark.parametrize(
    ("wanted", "refusal", "why"),
    [
        ({"method": "l2_sparse"}, InvalidParams, "nearest are l1_sparse"),
        ({"params": {"epochs": 0}}, InvalidParams, "epochs"),
        ({"size": 6}, InvalidParams, "sets of 5 at most"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    world: World, wanted: dict[str, Any], refusal: type[Exception], why: str
) -> None:
    with pytest.raises(refusal, match=why):
        order(world, **wanted)


def test_without_a_recipe_there_are_no_shadows(world: World) -> None:
    made.add_version(world.store, world.model_id, recipe=None)

    with pytest.raises(NoRecipe):
        order(world)


def test_one_that_is_withdrawn_ends(world: World) -> None:
    row = order(world)
    claim, _ = begun(world, row.job_id)

    with world.store.begin() as db:
        desk.withdraw(db, db.get_one(Job, row.job_id), "certificate", "me")
        assert jobs.beat(db, claim, world.store.settings) is Signal.CANCEL
        outcomes.was_cancelled(db, claim)

    with (
        pytest.raises(InvalidTransition, match="certificate is cancelled"),
        world.store.begin() as db,
    ):
        desk.withdraw(db, db.get_one(Job, row.job_id), "certificate", "me")


# ---- what they cover -----------------------------------------------------------------------------


def test_it_covers_the_same_use_and_smaller_sets(world: World) -> None:
    assert covering(world) is None
    row = decided(world)

    found = [covering(world, replace(USE, size=size)) for size in (1, 5, 6)]

    assert [each and each.id for each in found] == [row.id, row.id, None]


@pytest.mark.parametrize(
    "other",
    [
        {"method": "retrain"},
        {"params": {"epochs": 3}},
        {"goal": Goal.CLASS},
        {"prune": {"method": "omp", "sparsity": 0.9, "params": {}}},
    ],
)
def test_it_covers_no_other_use(world: World, other: dict[str, Any]) -> None:
    decided(world)

    assert covering(world, replace(USE, **other)) is None


@pytest.mark.parametrize("verdict", [Grant.REFUSED, Grant.INCONCLUSIVE])
def test_what_was_not_granted_covers_nothing(world: World, verdict: Grant) -> None:
    decided(world, replace(GRANTED, verdict=verdict))

    assert covering(world) is None


def test_a_later_refusal_counts_until_the_same_is_granted_anew(world: World) -> None:
    decided(world)
    decided(world, replace(GRANTED, verdict=Grant.REFUSED))
    assert covering(world) is None

    row = decided(world)

    found = covering(world)
    assert found is not None
    assert found.id == row.id


def test_a_smaller_one_granted_later_does_not_hide_the_larger(world: World) -> None:
    row = decided(world)
    decided(world, size=2)

    found = covering(world)

    assert found is not None
    assert found.id == row.id


@pytest.mark.parametrize(
    "change", [{"expires_at": now(timedelta(seconds=-1))}, {"software": "0.0"}, {"key": "0" * 64}]
)
def test_it_expires_with_time_and_with_what_it_was_made_for(
    world: World, change: dict[str, Any]
) -> None:
    decided(world)
    with world.store.begin() as db:
        db.execute(update(Certificate).values(change))

    assert covering(world) is None


def test_it_expires_when_many_rows_have_been_forgotten(world: World) -> None:
    decided(world)
    world.serve_request(world.ask(made.samples("train/cat/00", "train/cat/01", "train/cat/02")))
    assert covering(world) is not None

    world.serve_request(world.ask(made.samples("train/cat/03")))

    assert covering(world) is None
