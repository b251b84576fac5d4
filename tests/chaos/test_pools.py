"""Builds of reference pools that are killed: what is finished stays, and the rest is the same."""

from uuid import UUID

import pytest
from scene import Scene
from sqlalchemy import update
from stage import Stage

from models_store import desk, pools, registry
from models_store.life import JobStatus
from models_store.pools import Retrains
from models_store.store import Store
from models_store.tables import Job
from workers import tasks
from workers.bench import Bench, pick_device

MODEL, SEED = "digits-0", 5


def order(store: Store) -> UUID:
    with store.begin() as db:
        model = registry.get(db, MODEL, lock=True)
        job = pools.order(db, model, 2, [Retrains(label=4, size=1)], "test")
        db.execute(update(Job).where(Job.id == job.id).values(seed=SEED))
        return job.id


def digests(store: Store) -> list[str]:
    with store.read() as db:
        pool = pools.of_model(db, registry.get(db, MODEL))
        return [member.scores for member in pools.members(db, pool.id)]


@pytest.fixture(scope="module")
def uninterrupted(stage: Stage) -> list[str]:
    """The tables of a build that nobody disturbs."""
    calm = stage.embedded()
    bench = Bench(store=calm.store, name="calm", device=pick_device())
    assert tasks.carry_out(bench, order(calm.store))
    return digests(calm.store)


@pytest.mark.timeout(300)  # with the furnishing of the house, on a busy machine
def test_a_build_whose_worker_is_killed_twice_ends_with_the_same_members(
    scene: Scene, uninterrupted: list[str]
) -> None:
    scene.workers(3)
    scene.arm(worker_checkpointed="kill#3")
    job = order(scene.store)
    scene.wait(lambda: scene.went_off)
    scene.arm(pool_member__built="kill")

    def ended() -> bool:
        with scene.store.read() as db:
            return db.get_one(Job, job).status in (JobStatus.SUCCEEDED, JobStatus.FAILED)

    scene.wait(ended, 90)

    assert scene.went_off
    with scene.store.read() as db:
        assert [a.outcome for a in desk.attempts(db, job)] == ["failed", "failed", "succeeded"]
    assert digests(scene.store) == uninterrupted
