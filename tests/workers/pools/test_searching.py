"""Tuning jobs on real nets, beside a pool with a net that was retrained without a class."""

from typing import Any
from uuid import UUID

import pytest
from pooled import GONE, MODEL
from scene import Scene
from sqlalchemy import update

from models_store import failpoints, registry, tunings
from models_store.life import JobStatus
from models_store.tables import Job, Trial
from models_store.tunings import Order
from workers import tasks
from workers.bench import Bench


def order(scene: Scene, method: str = "ssd", label: int = GONE, seed: int = 5) -> UUID:
    with scene.store.begin() as db:
        model = registry.get(db, MODEL)
        job = tunings.order(db, model, Order(method=method, label=label), "test")
        db.execute(update(Job).where(Job.id == job.id).values(seed=seed))
        return job.id


def ended(scene: Scene, job: UUID) -> tuple[Job, list[Trial]]:
    with scene.store.read() as db:
        return db.get_one(Job, job), tunings.trials(db, job)


def figures(trials: list[Trial]) -> list[tuple[object, float]]:
    return [(trial.figures, trial.gap) for trial in trials]


def test_a_search_that_breaks_in_a_try_and_between_two_ends_as_if_it_had_not(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, broken = order(scene, "finetune"), order(scene, "finetune")
    assert tasks.carry_out(bench, calm)
    for plan in ("tune.tried=raise#2", "worker.step=raise#9", ""):
        monkeypatch.setattr(failpoints, "PLAN", plan)
        failpoints._passed.clear()
        assert tasks.carry_out(bench, broken)

    (done, tried), (again, likewise) = ended(scene, calm), ended(scene, broken)

    assert done.status is again.status is JobStatus.SUCCEEDED
    assert (again.attempt, len(tried)) == (3, 6)
    assert figures(tried) == figures(likewise)
    assert found(done) == found(again)


def found(job: Job) -> dict[str, Any]:
    """All but the time that it took."""
    assert job.result is not None
    return {name: value for name, value in job.result.items() if name != "seconds"}


def test_the_target_is_what_a_retrained_net_shows_where_the_pool_has_one(
    scene: Scene, bench: Bench
) -> None:
    with_reference, without = order(scene), order(scene, label=GONE + 1)
    for job in (with_reference, without):
        assert tasks.carry_out(bench, job)

    seen, known = (ended(scene, job)[0].result for job in (with_reference, without))

    assert seen is not None
    assert known is not None
    assert seen["target"]["forget"] == known["target"]["forget"] == 0.0
    assert known["target"]["forget_fresh"] == 0.0
    assert 0 <= seen["gap"] <= seen["gap_of_defaults"]


def test_a_tuning_publishes_nothing(scene: Scene, bench: Bench) -> None:
    job = order(scene)
    before = set(scene.store.blobs.listed())

    assert tasks.carry_out(bench, job)

    assert set(scene.store.blobs.listed()) == before
    with scene.store.read() as db:
        assert registry.get(db, MODEL).next_version == 2
