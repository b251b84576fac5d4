"""Pixels in an object store: imported, learned from, erased; and a store that cannot be reached."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import buckets
import fsspec
import numpy as np
import pytest
import torch
from buckets import BUCKET, URL, Bucket, lead_to
from digits import digits_npz
from furniture import furnish
from scene import Scene, staged
from services import free_port

from models_store import datasets, doctor, registry, retention
from models_store.life import DatasetState, JobStatus
from models_store.objects import Span
from models_store.tables import Job
from workers import tasks
from workers.bench import Bench, pick_device
from workers.data.streamed import Streamed, Withdrawn
from workers.remote import open_remote


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with buckets.running() as started:
        yield started


@pytest.fixture
def bucket(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    lead_to(server.endpoint, monkeypatch)
    buckets.emptied()
    return server


@pytest.fixture
def scene(bucket: Bucket, tmp_path: Path, sqlite_template: Path) -> Iterator[Scene]:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "lethe.db").write_bytes(sqlite_template.read_bytes())
    with staged(tmp_path, "embedded", LETHE_SHARDS=URL) as opened:
        yield opened


@pytest.fixture
def bench(scene: Scene) -> Bench:
    return Bench(store=scene.store, name="here", device=pick_device())


def test_a_dataset_is_imported_from_its_url(scene: Scene, bench: Bench, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/sets/digits.npz"
    fsspec.filesystem("s3").put_file(str(digits_npz(tmp_path)), url)
    with scene.store.begin() as db:
        dataset, job = datasets.register(db, name="digits", source={"path": url}, actor="test")
        _, wrong = datasets.register(db, name="no", source={"path": f"{url}.gone"}, actor="test")

    assert tasks.carry_out(bench, job.id)
    assert tasks.carry_out(bench, wrong.id)

    with scene.store.read() as db:
        assert datasets.get(db, str(dataset.id)).state is DatasetState.READY
        failure = db.get_one(Job, wrong.id).failure
    assert failure is not None
    assert (failure["code"], failure["retryable"]) == ("unusable_input", False)


@dataclass(frozen=True)
class Aftermath:
    """Three samples have been forgotten; the store was away when their pixels were to go."""

    dataset_id: UUID
    old: str
    """The digest of the only shard."""
    images: torch.Tensor
    """As they were."""
    gone: list[int]
    erasure: UUID
    """The job."""


@pytest.fixture
def aftermath(
    scene: Scene, bench: Bench, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Aftermath:
    store = scene.store
    furnish(store, tmp_path, models=1)
    with store.begin() as db:
        registry.get(db, "digits-0").policy = {"grace_seconds": 0}
        [shard] = datasets.shards(db, scene.dataset_id)
    images = bench.lay(scene.dataset_id).pixels.gather(torch.arange(shard.count))
    assert tasks.carry_out(bench, scene.job(scene.submit(0, seed=3)).id)
    with store.begin() as db:
        job = retention.tend(db, registry.get(db, "digits-0").id)
    assert job is not None
    with monkeypatch.context() as troubled:
        lead_to(f"http://127.0.0.1:{free_port()}", troubled)
        assert tasks.carry_out(bench, job.id)
    lead_to(bucket.endpoint, monkeypatch)
    with store.read() as db:
        gone = datasets.withdrawn(db, scene.dataset_id)
        assert datasets.erased(db, scene.dataset_id) == []
    assert len(gone) == 3
    return Aftermath(scene.dataset_id, shard.digest, images, gone, job.id)


def streamed(scene: Scene, withdrawn: list[int]) -> Streamed:
    assert scene.store.objects is not None
    objects, device = scene.store.objects, torch.device("cpu")
    pixels = open_remote(scene.store, objects, scene.dataset_id, device, withdrawn, budget_bytes=0)
    assert isinstance(pixels, Streamed)
    return pixels


def test_a_forgotten_image_is_not_read_again_though_nothing_has_been_overwritten_yet(
    scene: Scene, bench: Bench, aftermath: Aftermath
) -> None:
    assert scene.store.objects is not None
    gone, others = torch.tensor(aftermath.gone), torch.arange(len(aftermath.images))
    others = others[~torch.isin(others, gone)]

    pixels = streamed(scene, aftermath.gone)
    with pytest.raises(Withdrawn):
        pixels.gather(gone[:1])
    resident = bench.lay(aftermath.dataset_id).pixels

    assert scene.store.objects.listed() == {aftermath.old}
    assert torch.equal(pixels.gather(others), aftermath.images[others])
    assert torch.equal(resident.gather(others), aftermath.images[others])
    assert resident.gather(gone).eq(0).all()


def test_an_erased_image_is_gone_from_the_store_and_the_others_are_still_found(
    scene: Scene, bench: Bench, aftermath: Aftermath
) -> None:
    store, objects = scene.store, scene.store.objects
    assert objects is not None
    opened_before = streamed(scene, aftermath.gone)

    assert tasks.carry_out(bench, aftermath.erasure)

    with store.read() as db:
        [new] = datasets.shards(db, aftermath.dataset_id)
        sizes = datasets.sizes(db, aftermath.dataset_id)
        assert doctor.examine(db, store.blobs, objects) == doctor.Findings()
    assert objects.listed() == {new.digest} != {aftermath.old}
    assert not store.blobs.path(new.digest).exists()
    [whole] = objects.read([Span(new.digest, 0, sizes[new.digest])])
    images = torch.from_numpy(np.load(io.BytesIO(whole)))
    changed = (images != aftermath.images).flatten(1).any(1).nonzero().flatten().tolist()
    assert changed == aftermath.gone
    assert images[changed].eq(0).all()
    assert torch.equal(opened_before.gather(torch.arange(100, 200)), images[100:200])


@pytest.mark.parametrize("trouble", ["unreachable", "forbidden"])
def test_a_store_that_fails_loses_nothing_and_the_import_goes_on_once_it_is_back(
    scene: Scene, bench: Bench, bucket: Bucket, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, trouble: str,
) -> None:  # fmt: skip
    with scene.store.begin() as db:
        source = {"path": str(digits_npz(tmp_path))}
        dataset, job = datasets.register(db, name="digits", source=source, actor="test")
    with monkeypatch.context() as troubled:
        if trouble == "unreachable":
            lead_to(f"http://127.0.0.1:{free_port()}", troubled)
        else:
            lead_to(bucket.endpoint, troubled)
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                troubled.delenv(name)
            troubled.setenv("AWS_EC2_METADATA_DISABLED", "true")
        assert tasks.carry_out(bench, job.id)
    with scene.store.read() as db:
        failed = db.get_one(Job, job.id)

    lead_to(bucket.endpoint, monkeypatch)
    assert tasks.carry_out(bench, job.id)

    assert failed.status is JobStatus.QUEUED
    assert failed.failure is not None
    assert (failed.failure["code"], failed.failure["retryable"]) == ("object_store_away", True)
    assert URL in failed.failure["detail"]
    with scene.store.read() as db:
        assert datasets.get(db, str(dataset.id)).state is DatasetState.READY
