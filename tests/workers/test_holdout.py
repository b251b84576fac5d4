"""A hold-out is reserved at import by subject, is never trained on, and is what the audit asks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from digits import digits_npz
from sqlalchemy import select

from models_store import audits, datasets, intake, lineage, offers, registry, versions
from models_store.registry import NewModel
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import Dataset, Job, Sample
from workers import tasks, warmup
from workers.bench import Bench, pick_device


@pytest.fixture
def bench(tmp_path: Path, sqlite_template: Path) -> Iterator[Bench]:
    (tmp_path / "home").mkdir()
    shutil.copy(sqlite_template, tmp_path / "home" / "lethe.db")
    store = Store.open(Settings(home=tmp_path / "home"))
    with store.begin() as db:
        offers.advertise(db, warmup.abilities())
    yield Bench(store=store, name="here", device=pick_device())
    store.close()


def brought_in(bench: Bench, path: Path, **options: object) -> tuple[Dataset, Job]:
    source = {"path": str(path), **options}
    with bench.store.begin() as db:
        dataset, job = datasets.register(db, name="digits", source=source, actor="test")
    assert tasks.carry_out(bench, job.id)
    with bench.store.read() as db:
        return datasets.get(db, str(dataset.id)), db.get_one(Job, job.id)


def test_a_hold_out_is_never_trained_on_and_stands_for_unseen_images(
    bench: Bench, tmp_path: Path
) -> None:
    dataset, _ = brought_in(bench, digits_npz(tmp_path, 300), holdout_share=0.3)
    new = NewModel(
        name="digits", architecture="small_cnn", parameters={"filters": 4},
        dataset="digits", mean=[0.5], std=[0.5], policy={},
    )  # fmt: skip
    with bench.store.begin() as db:
        model = registry.register(db, new, "test")
        job = intake.open_training(db, model, {"epochs": 1, "batch_size": 64}, 7, "test")

    assert tasks.carry_out(bench, job.id)

    with bench.store.read() as db:
        version = versions.get(db, model.id, "active")
        trained = set(lineage.training_rows(db, version, dataset.id))
        document = audits.latest(db, model.id, version.number).document
        samples = db.scalars(select(Sample).where(Sample.dataset_id == dataset.id)).all()
    held = [sample for sample in samples if sample.split == "holdout"]
    assert 30 < len(held) < 110
    assert not trained & {sample.position for sample in held}
    assert not {s.subject for s in held} & {s.subject for s in samples if s.split == "train"}
    assert dataset.counts["holdout"] == len(held)
    assert document["data"]["nonmembers"]["kind"] == "holdout"
    assert document["data"]["nonmembers"]["n"] == len(held)
    assert document["data"]["nonmembers"]["slice"] is None


def test_whose_an_image_is_reaches_the_audit(bench: Bench, tmp_path: Path) -> None:
    dataset, _ = brought_in(bench, digits_npz(tmp_path, 120), holdout_share=0.3)

    people = bench.lay(dataset.id).people.tolist()

    with bench.store.read() as db:
        samples = db.scalars(select(Sample).where(Sample.dataset_id == dataset.id)).all()
    subject = {sample.position: sample.subject or sample.sample_id for sample in samples}
    assert len(people) == len(subject)
    assert all(subject[first] == subject[row] for row, first in enumerate(people))
    assert len(set(people)) == len(set(subject.values()))


def test_the_same_images_with_another_hold_out_want_another_name(
    bench: Bench, tmp_path: Path
) -> None:
    path = digits_npz(tmp_path, 60)
    plain, _ = brought_in(bench, path)

    again, _ = brought_in(bench, path)
    held, refused = brought_in(bench, path, holdout_share=0.5)

    assert (plain.state, again.state, held.state) == ("ready", "duplicate", "failed")
    assert refused.failure is not None
    assert "choose another name" in refused.failure["detail"]
