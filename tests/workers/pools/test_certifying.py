"""Certify jobs on real nets: shadow by shadow, broken off and gone on, and what is left of them."""

from typing import Any
from uuid import UUID

import pytest
from pooled import MODEL, forget
from scene import Scene
from sqlalchemy import func, select, update

from models_store import (
    audits,
    certificates,
    doctor,
    failpoints,
    jobs,
    registry,
    shadows,
)
from models_store.certificates import Order
from models_store.life import Grant, JobStatus
from models_store.shadows import Outcome
from models_store.tables import Certificate, Job, Sample, Shadow
from workers import tasks
from workers.bench import Bench

SIZE = 20
SAMPLES = Order(method="finetune", params={"epochs": 1}, size=SIZE, shadows=9)


def order(scene: Scene, wanted: Order = SAMPLES, seed: int = 5) -> UUID:
    with scene.store.begin() as db:
        row = certificates.order(db, registry.get(db, MODEL, lock=True), wanted, "test")
        db.execute(update(Job).where(Job.id == row.job_id).values(seed=seed))
        return row.id


def found(scene: Scene, certificate: UUID) -> tuple[Certificate, Job]:
    with scene.store.read() as db:
        return certificates.get(db, certificate)


def carry_out(scene: Scene, bench: Bench, certificate: UUID) -> Certificate:
    assert tasks.carry_out(bench, found(scene, certificate)[1].id)
    return found(scene, certificate)[0]


def figures(row: Certificate) -> dict[str, Any]:
    return {each["test"]: each for each in row.figures or []}


def test_a_job_that_breaks_within_and_between_shadows_ends_as_if_it_had_not(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(scene.store.blobs.listed())
    calm, broken = order(scene), order(scene)
    carry_out(scene, bench, calm)
    plans = ("certify.shadow_kept=raise#2", "worker.step=raise#5", "worker.step=raise#60", "")
    for plan in plans:
        with scene.store.begin() as db:  # so that it is begun often enough
            db.execute(update(Job).values(failures=0))
        monkeypatch.setattr(failpoints, "PLAN", plan)
        failpoints._passed.clear()
        again = carry_out(scene, bench, broken)

    first, job = found(scene, calm)[0], found(scene, broken)[1]
    assert job.attempt == len(plans)
    assert first.verdict is again.verdict is not None
    assert strip(first) == strip(again)
    assert set(scene.store.blobs.listed()) == before
    with scene.store.read() as db:
        assert db.scalar(select(func.count()).select_from(Shadow)) == 0
        assert doctor.examine(db, scene.store.blobs).orphans == []


def strip(row: Certificate) -> list[tuple[str, float | None]]:
    """The figures; the second was judged at a stricter level."""
    return [(each["test"], each["estimate"]) for each in row.figures or []]


def test_finetuning_that_leaves_everything_is_refused_for_a_class(
    scene: Scene, bench: Bench
) -> None:
    row = carry_out(
        scene, bench, order(scene, Order(method="finetune", params={"epochs": 1}, shadows=5))
    )

    assert row.verdict is Grant.REFUSED
    told = figures(row)
    assert told["forgotten.d_f"]["verdict"] == "fail"
    assert told["control.never_saw"]["verdict"] == "pass"


def test_rows_that_are_forgotten_meanwhile_are_shown_to_no_further_shadow(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = order(scene)
    monkeypatch.setattr(failpoints, "PLAN", "certify.shadow_kept=raise#3")
    failpoints._passed.clear()
    carry_out(scene, bench, certificate)
    monkeypatch.setattr(failpoints, "PLAN", "")
    request = scene.submit(0, seed=1)
    gone = select(Sample.position).where(Sample.split == "train").limit(45)
    with scene.store.begin() as db:
        db.execute(update(Sample).where(Sample.position.in_(gone)).values(forgotten_by=request))

    while found(scene, certificate)[1].status is JobStatus.QUEUED:  # it makes way for the request
        row = carry_out(scene, bench, certificate)

    assert found(scene, certificate)[1].status is JobStatus.SUCCEEDED
    assert figures(row)["unlearned.auc"]["n"] < 3 * SIZE
    assert row.trained == 405


def test_the_report_of_a_version_names_the_certificate_that_covers_it(
    scene: Scene, bench: Bench
) -> None:
    certificate = order(scene, Order(method="retrain", params={}, size=SIZE, shadows=9))
    figure = {"test": "unlearned.auc", "estimate": 0.5, "high": 0.52}
    with scene.store.begin() as db:
        row, _ = certificates.get(db, certificate)
        claim = jobs.claim(db, row.job_id, "here", "cpu", scene.store.settings)
        assert claim is not None
        outcome = Outcome(verdict=Grant.GRANTED, reason="Made up.", figures=[figure], trained=450)
        shadows.finish(db, claim, shadows.begin(db, claim), outcome)

    forget(scene, bench)

    with scene.store.read() as db:
        report = audits.latest(db, registry.get(db, MODEL).id, 2).document
        row, _ = certificates.get(db, certificate)
    assert row.granted_at is not None
    assert (report["certified"], report["certificate"]["id"]) == (True, str(certificate))
    assert report["headline"].endswith(f"certificate of {row.granted_at:%Y-%m-%d}.")
