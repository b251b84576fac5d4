"""Workers that are killed, stopped, frozen or hang: failure modes 1 to 4, 17, 19 and 22."""

import signal
from contextlib import suppress

import pytest
from house import Room
from scene import SPECIAL, Scene
from stage import Stage

from models_store.life import JobStatus, RequestStatus
from workers import tasks
from workers.bench import Bench, pick_device

SEED = 11
BLOCK = 49
"""A model and samples for the run that is compared with an uninterrupted one."""
TO_SPECIAL = {"method": "l1_sparse", "params": {"epochs": 3}}


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

    assert scene.ended(request).status is RequestStatus.SUCCEEDED
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

    assert scene.ended(request).status is RequestStatus.SUCCEEDED
    assert scene.outcomes(request) == ["failed", "succeeded"]


def test_fm03_a_worker_that_must_stop_hands_its_job_to_another(scene: Scene) -> None:
    scene.workers(2)
    scene.arm(worker_checkpointed="sleep:3#1")
    request = scene.ask()
    holder = scene.holder(request)
    scene.wait(lambda: scene.went_off)

    code = holder.stop(within=60)

    assert code == 0, holder.said
    assert scene.ended(request).status is RequestStatus.SUCCEEDED
    assert scene.outcomes(request) == ["gave_way", "succeeded"]
    assert scene.job(request).failures == 0


def test_fm04_a_worker_that_was_frozen_past_its_lease_cannot_publish(scene: Scene) -> None:
    scene.workers(2)
    scene.arm(worker_checkpointed="stop#1")
    request = scene.ask()
    holder = scene.holder(request)
    frozen = scene.frozen()
    scene.ended(request)

    frozen.resume()

    scene.wait(lambda: "left to another attempt" in holder.said)
    assert scene.outcomes(request) == ["failed", "succeeded"]


def test_fm17_a_job_that_is_rung_for_fifty_times_runs_once(scene: Scene) -> None:
    scene.workers(2)
    scene.arm(worker_step="sleep:1#1")
    request = scene.ask()
    job = scene.job(request)

    for _ in range(50):
        scene.store.bell.ring(job.id, job.attempt, job.queue)

    assert scene.ended(request).status is RequestStatus.SUCCEEDED
    assert scene.job(request).attempt == 1


def test_fm19_a_job_that_kills_every_worker_fails_after_three_and_others_go_on(
    scene: Scene,
) -> None:
    scene.workers(1)
    poison = scene.ask(**TO_SPECIAL)
    deadly = {"LETHE_FAILPOINTS": "worker.claimed=kill"}
    room = scene.house.open_worker(queues=SPECIAL, warm=False, **deadly)
    healthy = scene.ask()

    def failed() -> bool:
        nonlocal room
        if room.process.poll() is not None and scene.job(poison).status is JobStatus.QUEUED:
            room = scene.house.open_worker(queues=SPECIAL, warm=False, **deadly)
        return scene.request(poison).status is RequestStatus.FAILED

    scene.wait(failed, within=240)
    room.kill()

    assert scene.outcomes(poison) == ["failed"] * 3
    failure = scene.request(poison).failure
    assert failure is not None
    assert (failure["code"], failure["retryable"]) == ("worker_lost", True)
    assert scene.ended(healthy).status is RequestStatus.SUCCEEDED


def test_fm22_a_job_that_hangs_in_native_code_is_killed_at_its_time_limit(scene: Scene) -> None:
    scene.arm(worker_step="hang#1")
    request = scene.ask(**TO_SPECIAL)
    room = special(scene)
    scene.wait(lambda: scene.job(request).failures == 1, within=180)

    if room.process.poll() is not None:  # embedded: its supervisor would start another
        special(scene)
    scene.ended(request, within=180)

    assert scene.outcomes(request) == ["failed", "succeeded"]
    with suppress(ProcessLookupError):
        room.send(signal.SIGKILL, group=True)


def special(scene: Scene) -> Room:
    """A worker that gives a job twelve seconds."""
    return scene.house.open_worker(queues=SPECIAL, warm=False, LETHE_JOB_TIME_LIMIT="PT12S")
