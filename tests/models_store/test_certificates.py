"""Certificates as the store sees them: ordered, decided, covering, and shadows that go."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import world as made
from sqlalchemy import func, select, update
from world import World

from models_store import (
    certificates,
    desk,
    erasure,
    jobs,
    outcomes,
    pools,
    registry,
    retention,
    shadows,
)
from models_store.certificates import Order, Use
from models_store.claims import Claim, Signal
from models_store.columns import now
from models_store.errors import InvalidParams, InvalidTransition, LostClaim, NoRecipe
from models_store.life import Goal, Grant, JobKind, JobStatus, Phase
from models_store.shadows import Outcome, Series
from models_store.store import Store
from models_store.tables import Blob, Certificate, Job, Shadow
from models_store.targets import Target

GRANTED = Outcome(verdict=Grant.GRANTED, reason="All passed.", figures=[{"test": "a"}], trained=32)
USE = Use(method="l1_sparse", params={}, prune=None, goal=Goal.SAMPLES, size=5)
CLASS = Target("class", label="deer")


@pytest.fixture
def world(store: Store) -> World:
    return made.furnish(store)


def order(world: World, **wanted: Any) -> Certificate:
    asked = {"method": "l1_sparse", "params": {}, "size": 5, "shadows": 9} | wanted
    with world.store.begin() as db:
        return certificates.order(db, registry.get(db, "zoo"), Order(**asked), "me")


def begun(world: World, job: UUID) -> tuple[Claim, Series]:
    claim = world.claim(job)
    assert claim is not None
    with world.store.read() as db:
        return claim, shadows.begin(db, claim)


def spoken(world: World, claim: Claim, number: int) -> str:
    kept = world.store.blobs.put(f"shadow {claim.job_id} {number}".encode())
    with world.store.begin() as db:
        said = Blob(digest=kept.digest, size=kept.size, media_type="shadow")
        shadows.add(db, claim, number, said, 1.0)
    return kept.digest


def decided(world: World, outcome: Outcome = GRANTED, **wanted: Any) -> Certificate:
    claim, series = begun(world, order(world, **wanted).job_id)
    with world.store.begin() as db:
        return shadows.finish(db, claim, series, outcome)


def covering(world: World, use: Use = USE) -> Certificate | None:
    with world.store.read() as db:
        model = registry.get(db, "zoo")
        return certificates.covering(db, model, pools.root_of(db, model), use)


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


# ---- shadows -------------------------------------------------------------------------------------


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
    done, withdrawn = order(world), order(world, params={"epochs": 2})
    (claim, series), (other, _) = begun(world, done.job_id), begun(world, withdrawn.job_id)
    said, left = spoken(world, claim, 0), spoken(world, other, 0)
    with world.store.begin() as db:
        assert desk.leftovers(db, done.job_id) == []  # it still runs
        assert erasure.owned(db, said)
        shadows.finish(db, claim, series, GRANTED)
        jobs.give_back(db, other, "makes way")
        desk.withdraw(db, db.get_one(Job, withdrawn.job_id), "certificate", "me")

    with world.store.begin() as db:
        by_the_worker = desk.leftovers(db, done.job_id)
        due = retention.models_to_tend(db)
        erasing = retention.tend(db, world.model_id)
        by_the_leader = shadows.clear(db, withdrawn.job_id)

    assert by_the_worker == [said]
    assert due == [world.model_id]
    assert erasing is not None
    assert erasing.kind is JobKind.ERASE
    assert by_the_leader == [left]
    with world.store.read() as db:
        assert db.scalar(select(func.count()).select_from(Shadow)) == 0
        assert retention.models_to_tend(db) == []
        assert db.get_one(Job, withdrawn.job_id).status is JobStatus.CANCELLED
