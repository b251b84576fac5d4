"""What remembers erased data goes: old versions are revoked, then erased, then the pixels."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from models_store import jobs, lineage, registry, retiring, rungs, versions
from models_store.columns import now
from models_store.life import JobKind, JobStatus, Queue, RequestStatus, VersionState
from models_store.tables import (
    ForgetRequest,
    Job,
    Model,
    PoolMember,
    RequestSample,
    Sample,
    Version,
)

UNFINISHED = (JobStatus.QUEUED, JobStatus.RUNNING)


def tend(db: Session, model_id: UUID) -> Job | None:
    """Revoke a model's versions whose grace is over; open a job if there is something to erase.

    The leader calls it over and over: it does nothing where nothing is due.
    """
    model = registry.locked(db, model_id)
    needed = _needed(db, model)
    for version in _expired(db, model):
        if version.number not in needed and lineage.remembered(db, version):
            versions.revoke(db, model, version, "lethe")
    retiring.retire(db, model.dataset_id)
    if not _anything_to_erase(db, model):
        return None
    open_one = exists().where(
        Job.kind == JobKind.ERASE, Job.model_id == model.id, Job.status.in_(UNFINISHED)
    )
    if db.scalar(select(open_one)):
        return None
    return jobs.open_job(
        db, JobKind.ERASE, Queue.UPKEEP, model_id=model.id, dataset_id=model.dataset_id
    )


def _anything_to_erase(db: Session, model: Model) -> bool:
    return bool(
        erasable_versions(db, model)
        or erasable_rows(db, model.dataset_id, limit=1)
        or erasable_members(db, model)
    )


def models_to_tend(db: Session) -> list[UUID]:
    """Models with an old version, with forgotten samples, or with retired reference models."""
    old = exists().where(
        Version.model_id == Model.id,
        Version.state.in_(
            (VersionState.SUPERSEDED, VersionState.REVOKED, VersionState.QUARANTINED)
        ),
    )
    due = or_(old, _has_rows_to_erase(), retiring.waits(Model.dataset_id))
    return list(db.scalars(select(Model.id).where(due)))


def _has_rows_to_erase() -> ColumnElement[bool]:
    return exists().where(
        Sample.dataset_id == Model.dataset_id,
        Sample.forgotten_by.is_not(None),
        Sample.erased_at.is_(None),
    )


def _expired(db: Session, model: Model) -> list[Version]:
    """Superseded for longer than the policy's grace."""
    grace = timedelta(seconds=registry.policy_of(model).grace_seconds)
    return list(
        db.scalars(
            select(Version).where(
                Version.model_id == model.id,
                Version.state == VersionState.SUPERSEDED,
                Version.superseded_at < now(-grace),
            )
        )
    )


def _needed(db: Session, model: Model) -> set[int]:
    """Versions from which an unfinished rung starts or will start, or that one audit compares."""
    open_ones = select(Job).where(
        Job.model_id == model.id,
        Job.kind.in_((JobKind.FORGET, JobKind.AUDIT)),
        Job.status.in_(UNFINISHED),
    )
    unfinished = db.scalars(open_ones).all()
    found = {job.base_version for job in unfinished if job.base_version is not None}
    found |= {job.task["number"] for job in unfinished if job.kind is JobKind.AUDIT}
    served = versions.served(db, model.id)
    if unfinished and served is not None:
        found.add(rungs.safe_base(db, served).number)
    return found


# ---- what may be erased --------------------------------------------------------------------------


def erasable_versions(db: Session, model: Model) -> list[Version]:
    """Revoked ones, and failed candidates, that no unfinished rung starts from."""
    needed = _needed(db, model)
    gone = (VersionState.REVOKED, VersionState.QUARANTINED)
    rows = select(Version).where(Version.model_id == model.id, Version.state.in_(gone))
    return [v for v in db.scalars(rows.order_by(Version.number)) if v.number not in needed]


def erasable_members(db: Session, model: Model) -> list[PoolMember]:
    """Retired members of the dataset's reference pools, once this model's grace is over."""
    grace = timedelta(seconds=registry.policy_of(model).grace_seconds)
    return retiring.erasable(db, model.dataset_id, grace)


def erasable_rows(db: Session, dataset_id: UUID, limit: int | None = None) -> list[int]:
    """Positions of samples whose pixels nobody needs any more, ascending.

    A request has succeeded in having them forgotten, no request that names them is still open,
    and no unfinished job of the dataset could still look at them.
    """
    naming = (
        select(RequestSample.request_id)
        .join(ForgetRequest, ForgetRequest.id == RequestSample.request_id)
        .where(
            RequestSample.dataset_id == Sample.dataset_id,
            RequestSample.position == Sample.position,
        )
        .correlate(Sample)
    )
    still_open = (
        RequestStatus.ACCEPTED,
        RequestStatus.AWAITING_APPROVAL,
        RequestStatus.QUEUED,
        RequestStatus.RUNNING,
    )
    looking = exists().where(
        Job.dataset_id == dataset_id,
        Job.kind.in_((JobKind.FORGET, JobKind.AUDIT, JobKind.TRAIN, JobKind.POOL)),
        Job.status.in_(UNFINISHED),
    )
    query = (
        select(Sample.position)
        .where(
            Sample.dataset_id == dataset_id,
            Sample.forgotten_by.is_not(None),
            Sample.erased_at.is_(None),
            naming.where(ForgetRequest.status == RequestStatus.SUCCEEDED).exists(),
            ~naming.where(ForgetRequest.status.in_(still_open)).exists(),
            ~looking,
        )
        .order_by(Sample.position)
    )
    return list(db.scalars(query.limit(limit)))
