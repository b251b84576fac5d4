"""An erase job on real pixels and weights, also when it is cut short between row and bytes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import torch
from furniture import furnish
from scene import Scene, staged
from sqlalchemy import select

from models_store import datasets, doctor, failpoints, registry, retention, versions
from models_store.life import JobStatus, VersionState
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import Blob, Job, Model, Sample, Tombstone
from workers import tasks
from workers.bench import Bench, pick_device
from workers.scoring import load_scores


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    (folder / "home").mkdir()
    shutil.copy(sqlite_template, folder / "home" / "lethe.db")
    store = Store.open(Settings(home=folder / "home"))
    furnish(store, folder, models=1)
    store.close()
    return folder / "home"


@pytest.fixture
def scene(furnished: Path, tmp_path: Path) -> Iterator[Scene]:
    """A house in which a request has just succeeded and the version before it has no grace."""
    shutil.copytree(furnished, tmp_path / "home")
    with staged(tmp_path, "embedded") as opened:
        with opened.store.begin() as db:
            registry.get(db, "digits-0").policy = {"grace_seconds": 0}
        yield opened


@pytest.fixture
def bench(scene: Scene) -> Bench:
    return Bench(store=scene.store, name="here", device=pick_device())


def forget(scene: Scene, bench: Bench) -> Model:
    request = scene.submit(0, seed=3)
    assert tasks.carry_out(bench, scene.job(request).id)
    with scene.store.read() as db:
        return registry.get(db, "digits-0")


def order_erasure(scene: Scene, model: Model) -> UUID:
    with scene.store.begin() as db:
        job = retention.tend(db, model.id)
    assert job is not None
    return job.id


def findings(scene: Scene) -> doctor.Findings:
    with scene.store.read() as db:
        return doctor.examine(db, scene.store.blobs)


def test_weights_scores_and_pixels_go_with_tombstones_and_nothing_else_does(
    scene: Scene, bench: Bench
) -> None:
    before = bench.lay(scene.dataset_id).pixels  # as small as this, it is resident
    model = forget(scene, bench)
    with scene.store.read() as db:
        [old_shard] = datasets.shards(db, scene.dataset_id)

    assert tasks.carry_out(bench, order_erasure(scene, model))

    with scene.store.read() as db:
        old, new = (versions.get(db, model.id, number) for number in ("1", "2"))
        stones = list(db.scalars(select(Tombstone)))
        assert new.scores is not None
        kept = load_scores(scene.store.blobs.read(new.scores))
        rows = datasets.erased(db, scene.dataset_id)
    assert len(rows) == 3
    assert old.state is VersionState.ERASED
    assert {"weights", "pixels", "scores"} <= {stone.what for stone in stones}
    assert not scene.store.blobs.path(old_shard.digest).exists()
    after = bench.lay(scene.dataset_id).pixels
    changed = (before.images != after.images).flatten(1).any(1).nonzero().flatten().tolist()
    assert changed == rows
    assert after.images[rows].eq(0).all()
    assert not torch.isin(kept.rows, torch.tensor(rows)).any()
    assert findings(scene) == doctor.Findings()


def test_an_erasure_that_is_cut_short_before_the_bytes_go_is_finished_by_the_next(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = forget(scene, bench)
    job = order_erasure(scene, model)
    for turn in (1, 2):  # first when the versions' rows are gone, then when a shard's are
        with monkeypatch.context() as armed:
            armed.setattr(failpoints, "PLAN", f"erase.before_drop=raise#{turn}")
            failpoints._passed.clear()
            assert tasks.carry_out(bench, job)

    left = findings(scene).orphans
    assert tasks.carry_out(bench, job)

    assert left != []
    assert findings(scene).orphans == []
    assert findings(scene).missing == []
    with scene.store.read() as db:
        assert db.get_one(Job, job).status is JobStatus.SUCCEEDED


def test_cached_outputs_go_although_the_attempt_that_overwrote_the_pixels_died(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = forget(scene, bench)
    job = order_erasure(scene, model)
    with monkeypatch.context() as armed:
        armed.setattr(failpoints, "PLAN", "erase.before_drop=raise#2")  # the shard's row is gone
        failpoints._passed.clear()
        assert tasks.carry_out(bench, job)

    assert tasks.carry_out(bench, job)

    with scene.store.read() as db:
        digest = versions.get(db, model.id, "2").scores
        erased = torch.tensor(datasets.erased(db, scene.dataset_id))
    assert digest is not None
    assert len(erased) == 3
    assert not torch.isin(load_scores(scene.store.blobs.read(digest)).rows, erased).any()


def test_cached_outputs_that_two_versions_share_go_from_both(scene: Scene, bench: Bench) -> None:
    model = forget(scene, bench)
    with scene.store.begin() as db:
        model = registry.locked(db, model.id)
        new = versions.get(db, model.id, "2")
        kept = db.get_one(Blob, new.digest)
        twin = versions.add(
            db, model, 3, kept=kept, method="import", state=VersionState.CHECKING, parent=2,
            trained_on={"inherited": 1}, scores=new.scores, recipe=None,
        )  # fmt: skip

    assert tasks.carry_out(bench, order_erasure(scene, model))

    with scene.store.read() as db:
        digests = {versions.get(db, model.id, number).scores for number in ("2", "3")}
        erased = torch.tensor(datasets.erased(db, scene.dataset_id))
    assert (len(digests), len(erased)) == (1, 3)
    assert twin.scores not in digests
    [digest] = digests
    assert digest is not None
    assert not torch.isin(load_scores(scene.store.blobs.read(digest)).rows, erased).any()


def test_a_bench_finds_a_shard_that_was_rewritten_between_its_row_and_its_bytes(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = forget(scene, bench)
    job = order_erasure(scene, model)
    newcomer = Bench(store=scene.store, name="newcomer", device=pick_device())
    with scene.store.read() as db:
        [old_shard] = datasets.shards(db, scene.dataset_id)
    asked = newcomer._shards

    def outdated(dataset_id: UUID) -> tuple[str, ...]:
        monkeypatch.setattr(Bench, "_shards", lambda *_: asked(dataset_id))
        return (old_shard.digest,)

    tasks.carry_out(bench, job)
    monkeypatch.setattr(Bench, "_shards", lambda _, dataset_id: outdated(dataset_id))

    assert newcomer.lay(scene.dataset_id).shards != (old_shard.digest,)


def test_an_erased_sample_is_still_found_by_its_name_and_cannot_be_read_back(
    scene: Scene, bench: Bench
) -> None:
    named = scene.target(0)["sample_ids"]
    model = forget(scene, bench)
    tasks.carry_out(bench, order_erasure(scene, model))

    again = scene.request(scene.submit(0, seed=4))

    assert again.already_forgotten["count"] == len(named)
    assert again.finished_at is not None
    with scene.store.read() as db:
        erased = list(db.scalars(select(Sample).where(Sample.erased_at.is_not(None))))
    assert len(erased) == len(named)
    assert not {row.sample_id for row in erased} & set(named)
    assert all(row.subject and "person" not in row.subject for row in erased)


def test_a_checkpoint_that_a_killed_attempt_left_is_gone_when_the_job_has_ended(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scene.submit(0, seed=3)
    monkeypatch.setattr(failpoints, "PLAN", "worker.checkpointed=raise#2")
    failpoints._passed.clear()
    tasks.carry_out(bench, scene.job(request).id)
    between = scene.job(request).checkpoint

    tasks.carry_out(bench, scene.job(request).id)

    assert between is not None
    assert scene.job(request).checkpoint is None
    assert not scene.store.blobs.path(between["digest"]).exists()
    assert findings(scene).orphans == []
