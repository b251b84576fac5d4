"""The shadows of a certificate: each is written down as it is trained, and gone once all have spoken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from models_store import datasets, erasure, events, jobs, lineage, registry, rungs, versions
from models_store.claims import Claim
from models_store.life import JOB_ENDED, Grant
from models_store.rungs import Subject
from models_store.tables import Blob, Certificate, Job, Shadow

LASTS = timedelta(days=90)
"""How long what was granted holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What a certify job finds each time it turns to another shadow; rows ascending."""

    subject: Subject
    certificate: Certificate
    recipe: dict[str, Any]
    training: list[int]
    """What the model's line has seen and nobody has had forgotten."""
    forgotten: list[int]
    shadows: list[Shadow]
    attempt: int
    """How often this was decided before, and once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the shadows come to."""

    verdict: Grant
    reason: str
    figures: list[dict[str, Any]]
    trained: int
    """Rows that the shadows drew from."""


def begin(db: Session, claim: Claim) -> Series:
    """What stands of a certificate that a claimed job decides on, and what shadows may be shown."""
    assert claim.model_id is not None
    model, row = registry.get(db, str(claim.model_id)), of_job(db, claim.job_id)
    root = versions.get(db, model.id, str(claim.task["root"]))
    assert root.recipe is not None, "none is ordered without"
    forgotten = datasets.forgotten(db, model.dataset_id)
    seen = lineage.training_rows(db, root, model.dataset_id)
    return Series(
        subject=rungs.subject(db, model),
        certificate=row,
        recipe=root.recipe,
        training=sorted(set(seen) - set(forgotten)),
        forgotten=forgotten,
        shadows=list(db.scalars(_of(claim.job_id).order_by(Shadow.number))),
        attempt=1 + _decided(db, row),
    )


def of_job(db: Session, job_id: UUID) -> Certificate:
    """The certificate that a job decides on."""
    return db.scalars(select(Certificate).where(Certificate.job_id == job_id)).one()


def _of(job_id: UUID) -> Select[Shadow]:
    return select(Shadow).where(Shadow.job_id == job_id)


def _decided(db: Session, row: Certificate) -> int:
    """How often the same was decided before: who asks often enough is granted it once by chance."""
    alike = select(Certificate.params).where(
        Certificate.dataset_id == row.dataset_id,
        Certificate.key == row.key,
        Certificate.method == row.method,
        Certificate.goal == row.goal,
        Certificate.verdict.is_not(None),
    )
    return sum(params == row.params for params in db.scalars(alike))


def add(db: Session, claim: Claim, number: int, said: Blob, seconds: float) -> bool:
    """Write down what a shadow said; has the certificate been withdrawn? Raises `LostClaim`."""
    job = jobs.assign(db, claim)
    db.merge(said)
    db.add(Shadow(job_id=claim.job_id, number=number, said=said.digest, seconds=seconds))
    return job.cancel_requested_at is not None


def finish(db: Session, claim: Claim, series: Series, outcome: Outcome) -> Certificate:
    """All shadows have spoken. Raises `LostClaim`."""
    row, today = of_job(db, claim.job_id), events.moment(db)
    jobs.finish(db, claim, {"certificate": str(row.id), "verdict": outcome.verdict})
    row.verdict, row.reason, row.figures = outcome.verdict, outcome.reason, outcome.figures
    row.trained, row.software, row.attempt = outcome.trained, version("lethe"), series.attempt
    if outcome.verdict is Grant.GRANTED:
        row.granted_at, row.expires_at = today, today + LASTS
    db.flush()
    events.append(
        db, "certificate.decided", chain=row.model_id, actor=claim.worker, job_id=claim.job_id,
        certificate=str(row.id), verdict=row.verdict, attempt=row.attempt,
    )  # fmt: skip
    return row


# ---- gone ----------------------------------------------------------------------------------------


def strays(db: Session) -> Sequence[Job]:
    """Jobs that ended out of a worker's hands, so that what their shadows said is still there."""
    there = select(Shadow.job_id).distinct()
    return db.scalars(select(Job).where(Job.id.in_(there), Job.status.in_(JOB_ENDED))).all()


def clear(db: Session, job_id: UUID) -> list[str]:
    """Forget what the shadows of a job said; the digests to drop once this is committed."""
    there = db.scalars(_of(job_id)).all()
    if not there:
        return []
    dataset_id = jobs.get(db, job_id).dataset_id
    db.execute(delete(Shadow).where(Shadow.job_id == job_id))
    return [
        gone
        for shadow in there
        for gone in erasure.bury(db, shadow.said, "shadow", dataset_id=dataset_id)
    ]
