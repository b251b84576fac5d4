"""What remembers erased data goes: old versions are revoked, then erased, then the pixels."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from models_store import jobs, lineage, registry, retiring, rungs, shadows, versions
from models_store.columns import among, now
from models_store.life import (
    JobKind,
    JobStatus,
    MemberState,
    Queue,
    RequestStatus,
    VersionState,
)
from models_store.tables import (
    Dataset,
    ForgetRequest,
    Job,
    Model,
    Pool,
    PoolMember,
    RequestSample,
    Sample,
    Version,
)

OLD = (VersionState.SUPERSEDED, VersionState.REVOKED, VersionState.QUARANTINED)
UNFINISHED = (JobStatus.QUEUED, JobStatus.RUNNING)


def tend(db: Session, model_id: UUID) -> Job | None:
    """Revoke a model's versions whose grace is over; open a job if there is something to erase.

    One such job of a dataset at a time. The leader calls it over and over: it does nothing where
    nothing is due.
    """
    model = registry.locked(db, model_id)
    for version in _past_grace(db, model):
        if version.state is VersionState.SUPERSEDED and lineage.remembered(db, version):
            versions.revoke(db, model, version, "lethe")
    retiring.retire(db, model.dataset_id)
    withdraw(db, model.dataset_id)
    if not _anything_to_erase(db, model):
        return None
    if is_erasing(db, model.dataset_id):
        return None
    return jobs.open_job(
        db, JobKind.ERASE, Queue.UPKEEP, model_id=model.id, dataset_id=model.dataset_id
    )


def is_erasing(db: Session, dataset_id: UUID) -> bool:
    """Is a job on its way that erases what a dataset's models need no more?"""
    open_one = exists().where(
        Job.kind == JobKind.ERASE, Job.dataset_id == dataset_id, Job.status.in_(UNFINISHED)
    )
    return bool(db.scalar(select(open_one)))


def _anything_to_erase(db: Session, model: Model) -> bool:
    return bool(
        erasable_versions(db, model)
        or erasable_rows(db, model.dataset_id)
        or erasable_members(db, model)
        or stray_shadows(db, model.dataset_id)
    )


def stray_shadows(db: Session, dataset_id: UUID) -> list[UUID]:
    """Jobs on a dataset that have ended and whose shadows still are to go."""
    return [job.id for job in shadows.strays(db) if job.dataset_id == dataset_id]


def models_to_tend(db: Session) -> list[UUID]:
    """Models with something due, and one of each dataset with pixels or references to see to.

    It only reads: whoever looks often must not hold up those who write.
    """
    old = exists().where(Version.model_id == Model.id, Version.state.in_(OLD))
    retired = exists().where(
        Pool.dataset_id == Model.dataset_id,
        PoolMember.pool_id == Pool.id,
        PoolMember.state == MemberState.RETIRED,
    )
    models = db.scalars(select(Model).where(or_(old, retired)))
    due = [model.id for model in models if _is_due(db, model)]
    due += [job.model_id for job in shadows.strays(db) if job.model_id is not None]
    waiting = exists().where(
        Sample.dataset_id == Dataset.id,
        Sample.forgotten_by.is_not(None),
        Sample.erased_at.is_(None),
    )
    for dataset_id in db.scalars(select(Dataset.id).where(waiting)).all():
        if erasable_rows(db, dataset_id) or retiring.to_retire(db, dataset_id):
            mine = select(Model.id).where(Model.dataset_id == dataset_id).order_by(Model.id)
            due += db.scalars(mine.limit(1))
    return sorted(set(due))


def _is_due(db: Session, model: Model) -> bool:
    return any(
        version.state is not VersionState.SUPERSEDED or lineage.remembered(db, version)
        for version in _past_grace(db, model)
    ) or bool(erasable_members(db, model))


def _past_grace(db: Session, model: Model) -> list[Version]:
    """Versions that were replaced, failed or revoked, past the policy's grace, in order.

    What an unfinished rung starts from, or will start from, is left out.
    """
    grace = now(-timedelta(seconds=registry.policy_of(model).grace_seconds))
    since = func.coalesce(Version.superseded_at, Version.created_at)
    found = select(Version).where(
        Version.model_id == model.id,
        Version.state.in_(OLD),
        or_(Version.state == VersionState.REVOKED, since < grace),
    )
    past = db.scalars(found.order_by(Version.number)).all()
    needed = _needed(db, model) if past else set()
    return [version for version in past if version.number not in needed]


def _needed(db: Session, model: Model) -> set[int]:
    """Versions from which an unfinished rung or tuning starts, or that one audit compares."""
    open_ones = select(Job).where(
        Job.model_id == model.id,
        Job.kind.in_((JobKind.FORGET, JobKind.AUDIT, JobKind.TUNE)),
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
    """Revoked ones, and failed candidates after their grace, that no unfinished rung starts from."""
    past = _past_grace(db, model)
    return [version for version in past if version.state is not VersionState.SUPERSEDED]


def erasable_members(db: Session, model: Model) -> list[PoolMember]:
    """Retired members of the dataset's reference pools, once this model's grace is over."""
    grace = timedelta(seconds=registry.policy_of(model).grace_seconds)
    return retiring.erasable(db, model.dataset_id, grace)


def erasable_rows(db: Session, dataset_id: UUID) -> list[int]:
    """Positions of samples whose pixels nobody needs any more, ascending.

    Every model that was asked to forget them has done so, no request that names them is open, no
    unfinished job could look at them, and no version of any model of the dataset that still has
    its weights keeps them: while one does, they are what it would have to be made to forget by.
    """
    alive = (
        select(Version)
        .join(Model, Model.id == Version.model_id)
        .where(Model.dataset_id == dataset_id, Version.state != VersionState.ERASED)
        .order_by(Version.number)  # the oldest remember most
    )
    met, oldest = _met(dataset_id), db.scalar(alive.limit(1))
    if oldest is not None:  # mostly it remembers all of them, and no row need be read
        met = met.where(~lineage.keeps(db, oldest))
    rows = set(db.scalars(met))
    for version in db.scalars(alive) if rows else ():
        rows -= set(db.scalars(met.where(lineage.keeps(db, version))))
        if not rows:
            break
    return sorted(rows)


def withdraw(db: Session, dataset_id: UUID) -> list[int]:
    """Set a tombstone on each row that may be erased: from here on nobody reads it; the rows."""
    rows = erasable_rows(db, dataset_id)
    if rows:
        named = among(Sample.position, rows, db.get_bind().dialect.name)
        db.execute(
            update(Sample)
            .where(Sample.dataset_id == dataset_id, Sample.withdrawn_at.is_(None), named)
            .values(withdrawn_at=now())
            .execution_options(synchronize_session=False)
        )
    return rows


def _met(dataset_id: UUID) -> Select[int]:
    """Positions of samples that somebody was asked to forget, and everybody who was asked has."""
    failed = retiring.naming().where(ForgetRequest.status == RequestStatus.FAILED, ~_made_good())
    return retiring.settled(dataset_id).where(
        Sample.erased_at.is_(None), ~failed.exists(), ~_looking(dataset_id)
    )


def _made_good() -> ColumnElement[bool]:
    """Has another request on the same model succeeded with the sample of a failed one?"""
    better, again = aliased(ForgetRequest), aliased(RequestSample)
    return exists().where(
        better.model_id == ForgetRequest.model_id,
        better.status == RequestStatus.SUCCEEDED,
        again.request_id == better.id,
        again.dataset_id == RequestSample.dataset_id,
        again.position == RequestSample.position,
    )


def _looking(dataset_id: UUID) -> ColumnElement[bool]:
    """Is there an unfinished job that may look at any sample?

    A forget job looks at what open requests name, and at nothing else that has been forgotten.
    """
    return exists().where(
        Job.dataset_id == dataset_id,
        Job.kind.not_in((JobKind.FORGET, JobKind.ERASE)),
        Job.status.in_(UNFINISHED),
    )
