"""Jobs that run out of memory, disk or luck: failure modes 20, 21, 23 to 25 and 40."""

from collections.abc import Callable, Iterator
from math import ceil
from uuid import UUID

import pytest
from safetensors.torch import load, save
from scene import Scene
from stage import Stage

from models_store import datasets, decisions, failpoints, registry, requests, versions
from models_store.life import JobStatus, Queue, RequestStatus, VersionState
from models_store.tables import Blob, ForgetRequest, Version
from workers import tasks, weights
from workers.bench import Bench, pick_device


@pytest.fixture(scope="module", params=["embedded", "server"])
def opened(request: pytest.FixtureRequest, stage: Stage) -> Scene:
    return stage.embedded() if request.param == "embedded" else stage.server(None)


@pytest.fixture
def scene(opened: Scene) -> Iterator[Scene]:
    yield opened
    opened.check()


@pytest.fixture
def bench(opened: Scene) -> Bench:
    """This process is the worker."""
    return Bench(store=opened.store, name="here", device=pick_device())


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def arm(plan: str) -> None:
        failpoints._passed.clear()
        monkeypatch.setattr(failpoints, "PLAN", plan)

    return arm


def carry_out(scene: Scene, bench: Bench, request: UUID) -> ForgetRequest:
    """Attempt after attempt, as rings would have it, until the job has ended."""
    while scene.job(request).status is JobStatus.QUEUED:
        assert tasks.carry_out(bench, scene.job(request).id)
    return scene.request(request)


def retry(scene: Scene, request: UUID) -> None:
    with scene.store.begin() as db:
        decisions.retry(db, requests.get(db, "test", request), "test")


def files(scene: Scene) -> set[str]:
    return {path.name for path in scene.store.blobs.listed()}


@pytest.mark.parametrize(
    ("mode", "accident", "code"),
    [
        ("fm20", "worker.step=oom", "out_of_memory"),
        ("fm23", "blobs.write=enospc", "storage_full"),
        ("other", "worker.step=raise", "internal"),
    ],
)
def test_fm20_fm23_a_job_without_memory_or_disk_fails_after_three_attempts_and_may_be_retried(
    scene: Scene,
    bench: Bench,
    plan: Callable[[str], None],
    mode: str,
    accident: str,
    code: str,
) -> None:
    request = scene.submit(scene.fresh(), 5)
    before = files(scene)
    plan(accident)
    failed = carry_out(scene, bench, request)
    left = files(scene)
    plan("")

    assert failed.status is RequestStatus.FAILED
    assert failed.failure is not None
    assert (failed.failure["code"], failed.failure["retryable"]) == (code, True)
    assert scene.outcomes(request) == ["failed"] * 3
    assert left == before, mode
    retry(scene, request)
    assert carry_out(scene, bench, request).status is RequestStatus.SUCCEEDED


def test_fm21_a_device_without_memory_is_cleared_and_the_batch_halved_once(
    scene: Scene, bench: Bench, plan: Callable[[str], None]
) -> None:
    request = scene.submit(scene.fresh(), 5)
    for _ in range(2):
        plan("worker.step=oom#1")
        assert tasks.carry_out(bench, scene.job(request).id)
        assert bench._laid == {}

    plan("worker.step=oom#1000000")  # which only counts
    done = carry_out(scene, bench, request)

    with scene.store.read() as db:
        retained = 450 - len(datasets.forgotten(db, scene.dataset_id))
    epochs, half = 8, 64 // 2
    assert done.status is RequestStatus.SUCCEEDED
    assert scene.outcomes(request) == ["failed", "failed", "succeeded"]
    assert failpoints._passed["worker.step"] == epochs * ceil(retained / half)
    assert scene.version(request).provenance["half_batch"] is True


def test_fm24_without_its_blob_folder_a_worker_takes_no_job(
    scene: Scene, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    request = scene.submit(scene.fresh(), 5)
    folder = scene.store.blobs.folder
    away = folder.rename(folder.with_name("not-mounted"))

    took = tasks.take(bench, list(Queue))
    job = scene.job(request)
    away.rename(folder)

    assert not took
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
    assert "cannot be written to" in caplog.text
    assert carry_out(scene, bench, request).status is RequestStatus.SUCCEEDED


def test_fm25_damaged_weights_fail_the_job_and_nothing_is_made_of_them(
    scene: Scene, bench: Bench
) -> None:
    request = scene.submit(scene.fresh(), 5)
    with scene.store.read() as db:
        base = db.get_one(Version, (scene.request(request).model_id, 1))
    path = scene.store.blobs.path(base.digest)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    failed = carry_out(scene, bench, request)
    path.write_bytes(whole)

    assert failed.failure is not None
    assert failed.failure["code"] == "artifact_corrupt"
    assert base.digest in failed.failure["detail"]
    assert failed.interim_version is None
    retry(scene, request)
    assert carry_out(scene, bench, request).status is RequestStatus.SUCCEEDED


def test_fm25_a_served_version_with_damaged_bytes_is_quarantined_and_the_newest_good_one_served(
    scene: Scene, bench: Bench
) -> None:
    request = scene.submit(scene.fresh(), 5)
    model = scene.request(request).model_id
    second, third = (upload(scene, model, b"whole"), upload(scene, model, b"damaged"))
    path = scene.store.blobs.path(third.digest)
    path.write_bytes(path.read_bytes()[:-1])

    done = carry_out(scene, bench, request)

    assert done.status is RequestStatus.SUCCEEDED, done.failure
    with scene.store.read() as db:
        damaged = db.get_one(Version, (model, third.number))
        made = db.get_one(Version, (model, done.version))
    assert scene.outcomes(request) == ["failed", "succeeded"]
    assert damaged.state is VersionState.QUARANTINED
    assert made.parent == second.number


def upload(scene: Scene, model_id: UUID, note: bytes) -> Version:
    """Serve the first version's weights once more, in other bytes."""
    with scene.store.begin() as db:
        model = registry.locked(db, model_id)
        first = db.get_one(Version, (model_id, 1))
        tensors = load(scene.store.blobs.read(first.digest))
        kept = scene.store.blobs.put(save(tensors, {"note": note.decode()}))
        version = versions.add(
            db, model, versions.reserve(model, {}), method="import", state=VersionState.CHECKING,
            kept=Blob(digest=kept.digest, size=kept.size, media_type=weights.MEDIA),
            parent=None, trained_on=first.trained_on, recipe=first.recipe, assured=True,
        )  # fmt: skip
        versions.serve(db, version, VersionState.ACTIVE)
        return version


def test_fm40_a_version_that_fails_its_audit_is_not_served_and_the_evidence_stays(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scene.submit(scene.fresh(), 5)
    with monkeypatch.context() as patched:
        patched.setattr("workers.verdicts.headline", lambda _: "fail")
        failed = carry_out(scene, bench, request)

    assert failed.failure is not None
    assert failed.failure["code"] == "audit_failed"
    with scene.store.read() as db:
        made = db.get_one(Version, (failed.model_id, failed.failure["version"]))
        parent = db.get_one(Version, (failed.model_id, 1))
    assert made.state is VersionState.QUARANTINED
    assert parent.state is VersionState.ACTIVE
