"""Workers that are killed, stopped or frozen: failure modes 1 to 4 and 17."""

import signal
from time import sleep

import psutil
import pytest
from house import PATIENCE
from scene import Scene
from sqlalchemy import text
from stage import Stage

from models_store.errors import Unavailable
from workers import tasks
from workers.bench import Bench, pick_device

SEED = 11
BLOCK = 49
"""A model and samples for the run that is compared with an uninterrupted one."""


@pytest.fixture(scope="module")
def uninterrupted(stage: Stage) -> str:
    """The digest of the weights that the same job makes when nobody disturbs it."""
    calm = stage.embedded()
    request = calm.submit(BLOCK, SEED)
    bench = Bench(store=calm.store, name="calm", device=pick_device())
    assert tasks.carry_out(bench, calm.job(request).id)
    return calm.version(request).digest


def test_fm01_a_killed_child_is_followed_by_an_attempt_that_resumes_to_the_same_bytes(
    scene: Scene, uninterrupted: str
) -> None:
    scene.workers(2)
    scene.arm(worker_checkpointed="kill#2")

    request = scene.submit(BLOCK, SEED)

    assert scene.met(request)
    assert scene.went_off
    assert scene.outcomes(request) == ["failed", "succeeded"]
    assert scene.job(request).failures == 1
    assert scene.version(request).digest == uninterrupted


def test_fm02_a_killed_worker_is_followed_by_another(scene: Scene) -> None:
    scene.workers(2)
    scene.arm(worker_checkpointed="stop#2")
    request = scene.ask()
    holder = scene.holder(request)
    scene.frozen()

    holder.kill()

    assert scene.met(request)
    assert scene.outcomes(request) == ["failed", "succeeded"]


def test_fm03_a_worker_that_must_stop_hands_its_job_to_another(scene: Scene) -> None:
    scene.workers(2)
    scene.hold("worker_checkpointed")
    request = scene.ask()
    holder = scene.holder(request)
    scene.wait(lambda: scene.went_off)

    holder.send(signal.SIGTERM)
    # Celery's parent says so and then tells its child; the embedded worker has no parent.
    scene.wait(lambda: scene.mode == "embedded" or "shutdown (MainProcess)" in holder.said)
    scene.release()
    code = holder.process.wait(PATIENCE)

    assert code == 0, holder.said
    assert scene.met(request)
    assert scene.outcomes(request) == ["gave_way", "succeeded"]
    assert scene.job(request).failures == 0


def test_fm04_a_worker_that_was_frozen_past_its_lease_cannot_publish(scene: Scene) -> None:
    scene.workers(2)
    scene.arm(worker_checkpointed="stop#1")
    request = scene.ask()
    holder = scene.holder(request)
    frozen = frozen_between_writes(scene)
    scene.ended(request)

    frozen.resume()

    scene.wait(lambda: "left to another attempt" in holder.said)
    assert scene.outcomes(request) == ["failed", "succeeded"]


def frozen_between_writes(scene: Scene) -> psutil.Process:
    """Whoever freezes amid a write keeps SQLite's only lock from everybody: that is no test of fences."""
    process = scene.frozen()
    while True:
        try:
            with scene.store.begin() as db:
                db.execute(text("UPDATE jobs SET row_version = row_version WHERE 1 = 0"))
        except Unavailable:
            process.resume()
            sleep(0.01)
            process.suspend()
        else:
            return process


def test_fm17_a_job_that_is_rung_for_fifty_times_runs_once(scene: Scene) -> None:
    scene.workers(2)
    scene.hold("worker_step")
    request = scene.ask()
    scene.wait(lambda: scene.went_off)
    job = scene.job(request)

    for _ in range(50):
        scene.store.bell.ring(job.id, job.attempt, job.queue)
    scene.release()

    assert scene.met(request)
    assert scene.job(request).attempt == 1
