"""A pool that requests have worn out is built again, once for each time and never over and over."""

from datetime import timedelta
from uuid import UUID

import pytest
from pooled import GONE, HALVES, MODEL, forget, members, order, set_policy
from scene import Scene
from world import add_version

from models_store import desk, jobs, outcomes, pools, registry, retention, upkeep, versions
from models_store.claims import Signal
from models_store.life import JobKind, JobStatus, MemberState, Queue
from models_store.store import Store
from models_store.tables import Job
from workers import tasks
from workers.bench import Bench, pick_device


@pytest.fixture
def worn(scene: Scene, bench: Bench) -> UUID:
    """The model, after three samples were forgotten and what saw them has retired."""
    set_policy(scene, assurance="tier0")
    forget(scene, bench)
    return tend(scene)


def tend(scene: Scene) -> UUID:
    with scene.store.begin() as db:
        model_id = registry.get(db, MODEL).id
        retention.tend(db, model_id)
    return model_id


def due(scene: Scene) -> list[UUID]:
    with scene.store.read() as db:
        return upkeep.worn(db)


def rebuild(scene: Scene, model_id: UUID) -> Job | None:
    with scene.store.begin() as db:
        return upkeep.rebuild(db, model_id)


def test_a_worn_pool_is_ordered_once_and_built_to_its_size(
    scene: Scene, bench: Bench, worn: UUID
) -> None:
    assert len(members(scene.store, MemberState.READY)) < pools.LEAST
    assert due(scene) == [worn]

    job = rebuild(scene, worn)

    assert job is not None
    assert (job.queue, job.task["size"], job.task["retrains"]) == (Queue.QUALITY, HALVES, [])
    assert due(scene) == []
    assert rebuild(scene, worn) is None  # another relay saw the same
    assert tasks.carry_out(bench, job.id)
    with scene.store.read() as db:
        model = registry.get(db, MODEL)
        assert pools.is_usable(db, model, pools.root_of(db, model))
    assert due(scene) == []


def test_whoever_pays_may_decline(scene: Scene, worn: UUID) -> None:
    set_policy(scene, pool={"rebuild": "never"})

    assert due(scene) == []
    assert rebuild(scene, worn) is None


def test_a_size_of_the_policy_goes_before_what_was_ordered(scene: Scene, worn: UUID) -> None:
    set_policy(scene, pool={"size": HALVES + 2})

    job = rebuild(scene, worn)

    assert job is not None
    assert job.task["size"] == HALVES + 2


def test_retrains_are_replaced_on_demand_for_classes_that_can_still_be_named(
    scene: Scene, worn: UUID
) -> None:
    set_policy(scene, pool={"rebuild": "all"})

    job = rebuild(scene, worn)

    assert job is not None
    assert job.task["retrains"] == [{"label": GONE, "size": 1}]


def test_a_build_that_failed_waits_until_more_members_retire(
    scene: Scene, bench: Bench, worn: UUID
) -> None:
    job = rebuild(scene, worn)
    assert job is not None
    with scene.store.begin() as db:
        claim = jobs.claim(db, job.id, bench.name, "cpu", scene.store.settings)
        assert claim is not None
        outcomes.broke_down(db, claim, {"code": "internal", "detail": "", "retryable": False}, 3)

    assert due(scene) == []
    with scene.store.begin() as db:
        survivor = pools.members(db, pools.of_model(db, registry.get(db, MODEL)).id)[-1]
        survivor.state = MemberState.RETIRED
        survivor.retired_at = db.get_one(Job, job.id).created_at + timedelta(seconds=1)
    assert due(scene) == [worn]


def test_what_is_to_be_erased_goes_before_what_is_to_be_built(
    scene: Scene, bench: Bench, worn: UUID
) -> None:
    set_policy(scene, assurance="tier0", grace_seconds=0)
    tend(scene)

    assert due(scene) == []
    with scene.store.read() as db:
        (erasing,) = db.query(Job).filter(Job.kind == JobKind.ERASE).all()
    assert tasks.carry_out(bench, erasing.id)
    assert due(scene) == [worn]


def test_a_pool_that_nobody_ordered_is_not_built(scene: Scene) -> None:
    assert due(scene) == []


# ---- beside other work -----------------------------------------------------------------------------


def test_a_build_makes_way_for_a_request_of_its_own_queue_and_then_comes_after_it(
    scene: Scene, bench: Bench
) -> None:
    build = order(scene.store, HALVES + 2)
    with scene.store.begin() as db:
        claim = jobs.claim(db, build, bench.name, "cpu", scene.store.settings)
        assert claim is not None
        assert jobs.beat(db, claim, scene.store.settings) is Signal.GO_ON
    request = scene.submit(0, seed=5)

    with scene.store.begin() as db:
        heard = jobs.beat(db, claim, scene.store.settings)
        jobs.give_back(db, claim, "makes way")
        next_ones = desk.waiting(db, [Queue.EXACT])

    assert heard is Signal.GIVE_WAY
    assert next_ones == [scene.job(request).id, build]


def test_a_build_longer_than_the_time_limit_starts_anew_after_each_member(scene: Scene) -> None:
    plain = scene.store.settings
    store = Store.open(plain.model_copy(update={"job_time_limit": timedelta()}))
    hurried = Bench(store=store, name="here", device=pick_device())
    job = order(store, HALVES + 2)

    turns = 0
    while tasks.carry_out(hurried, job):
        turns += 1
    store.close()

    with scene.store.read() as db:
        done = db.get_one(Job, job)
        ended = [attempt.outcome for attempt in desk.attempts(db, job)]
    assert (done.status, done.failures) == (JobStatus.SUCCEEDED, 0)
    assert ended == ["gave_way"] * 2 + ["succeeded"]
    assert turns == 3


# ---- whose pool ------------------------------------------------------------------------------------


def test_models_trained_on_other_rows_do_not_share_a_pool(scene: Scene) -> None:
    with scene.store.read() as db:
        mine = registry.get(db, MODEL)
        recipe, pool = pools.root_of(db, mine).recipe, pools.of_model(db, mine)
    same = add_version(scene.store, mine.id, recipe=recipe)
    other = add_version(
        scene.store, mine.id, recipe=recipe, trained_on={"splits": ["train", "test"]}
    )
    listed = add_version(scene.store, mine.id, recipe=recipe, trained_on={"listed": 0})

    with scene.store.read() as db:
        model = registry.get(db, MODEL)
        roots = [versions.get(db, model.id, str(n)) for n in (same, other, listed)]
        found = [pools.find(db, model, root) for root in roots]

    assert found[0] is not None
    assert found[0].id == pool.id
    assert found[1:] == [None, None]
