"""Jobs that are the death of their workers: failure modes 19, 20 and 22."""

from typing import Any

from digits import digits_npz
from scene import SPECIAL, Scene

from models_store.life import JOB_ENDED, RequestStatus

TO_SPECIAL = {"method": "l1_sparse", "params": {"epochs": 3}}


def test_fm19_a_job_that_kills_every_worker_fails_after_three_and_others_go_on(
    scene: Scene,
) -> None:
    scene.workers(1)
    poison, healthy = scene.ask(**TO_SPECIAL), scene.ask()

    scene.attended(
        SPECIAL,
        lambda: scene.request(poison).status is RequestStatus.FAILED,
        LETHE_FAILPOINTS="worker.claimed=kill",
    )

    assert scene.outcomes(poison) == ["failed"] * 3
    failure = scene.request(poison).failure
    assert failure is not None
    assert (failure["code"], failure["retryable"]) == ("attempts_exhausted", True)
    assert scene.met(healthy)


def test_fm22_a_job_that_hangs_in_native_code_is_killed_at_its_time_limit(scene: Scene) -> None:
    scene.arm(worker_step="hang#1")
    request = scene.ask(**TO_SPECIAL)

    scene.attended(
        SPECIAL,
        lambda: scene.job(request).status in JOB_ENDED,
        LETHE_JOB_TIME_LIMIT="PT12S",
    )

    assert scene.outcomes(request) == ["failed", "succeeded"]


def test_fm20_a_job_that_wants_more_memory_than_a_worker_may_have_fails_and_the_worker_lives(
    scene: Scene,
) -> None:
    greedy = {"LETHE_FAILPOINTS": "worker.step=balloon:16384", "LETHE_MEMORY_LIMIT": str(8 << 30)}
    room = scene.house.open_worker(queues=SPECIAL, **greedy)

    failed = scene.ended(scene.ask(**TO_SPECIAL))

    assert scene.outcomes(failed.id) == ["failed"] * 3
    assert failed.failure is not None
    assert (failed.failure["code"], failed.failure["retryable"]) == ("out_of_memory", True)
    assert room.process.poll() is None
    room.kill()


def test_an_import_whose_worker_is_killed_at_a_shard_begins_anew(scene: Scene) -> None:
    path = digits_npz(scene.house.folder, count=100)
    body = {"name": "more-digits", "path": str(path)}
    accepted = scene.house.post("/datasets", 202, json=body)
    scene.arm(import_shard="kill")

    def job() -> dict[str, Any]:
        return dict(scene.house.get(f"/jobs/{accepted['job']}"))

    scene.attended("upkeep", lambda: job()["status"] in JOB_ENDED)

    assert scene.went_off
    assert (job()["status"], len(job()["attempts"])) == ("succeeded", 2)
    assert scene.house.get("/datasets/more-digits")["counts"] == {"train": 75, "test": 25}
