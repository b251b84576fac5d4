"""Jobs as seen from the desk: pages of them, who may begin next, which were lost, what is left."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, exists, or_, select, update
from sqlalchemy.orm import Session

from models_store import crew, events, jobs, outcomes, shadows
from models_store.claims import Claim, claimable
from models_store.columns import now
from models_store.errors import InvalidTransition, LostClaim
from models_store.life import BACKGROUND, JOB_ENDED, JobKind, JobStatus, Queue
from models_store.settings import Settings
from models_store.tables import Attempt, Job


def page(
    db: Session,
    after: UUID | None,
    limit: int,
    *,
    status: JobStatus | None = None,
    model_id: UUID | None = None,
    kind: JobKind | None = None,
) -> list[Job]:
    """Newest first."""
    query = select(Job).order_by(Job.id.desc()).limit(limit)
    if after is not None:
        query = query.where(Job.id < after)
    if status is not None:
        query = query.where(Job.status == status)
    if model_id is not None:
        query = query.where(Job.model_id == model_id)
    if kind is not None:
        query = query.where(Job.kind == kind)
    return list(db.scalars(query))


def withdraw(db: Session, job: Job, what: str, actor: str) -> list[str]:
    """Withdraw a job that nobody waits for; one that runs stops at its next step.

    Args:
        what: it is, such as `tuning`.

    Returns:
        What `leftovers` returns.

    Raises:
        InvalidTransition: it has ended.
    """
    jobs.lock_model(db, job.model_id)
    values: dict[str, Any] = {"cancel_requested_at": now(), "row_version": Job.row_version + 1}
    waiting = values | {"status": JobStatus.CANCELLED, "finished_at": now()}
    for status, change in ((JobStatus.QUEUED, waiting), (JobStatus.RUNNING, values)):
        told = update(Job).where(Job.id == job.id, Job.status == status).values(change)
        if db.scalar(told.returning(Job.id).execution_options(synchronize_session=False)):
            break
    else:
        raise InvalidTransition(f"The {what} is {job.status}.", status=job.status)
    db.refresh(job)
    events.append(db, f"{what}.cancel_requested", chain=job.model_id, actor=actor, job_id=job.id)
    return leftovers(db, job.id)


def attempts(db: Session, job_id: UUID) -> list[Attempt]:
    """All attempts at a job, in order."""
    return list(
        db.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.attempt))
    )


def waiting(db: Session, queues: Sequence[Queue], limit: int = 10) -> list[UUID]:
    """Jobs that could be claimed now, the most urgent first.

    First those whose attempt was lost or failed: they had their turn, and somebody has waited for
    them all along. Then in the order of the queues; in each what is due first, then the oldest.
    Jobs that nobody waits for, such as builds of reference pools, come last in their queue.
    """
    place = case({queue: number for number, queue in enumerate(Queue)}, value=Job.queue)
    idle = Job.kind.in_(BACKGROUND)
    return list(
        db.scalars(
            select(Job.id)
            .where(claimable(), Job.queue.in_(queues))
            .order_by((Job.failures == 0) | idle, place, idle, Job.due_at.nulls_last(), Job.id)
            .limit(limit)
        )
    )


def passed_over(db: Session, worker: str, queues: Sequence[Queue]) -> bool:
    """Is this worker idle while jobs wait in its queues for which somebody has rung?"""
    busy = exists().where(Job.status == JobStatus.RUNNING, Job.lease_owner == worker)
    rung = exists().where(claimable(), Job.queue.in_(queues), Job.rung_at.is_not(None))
    return bool(db.scalar(select(rung & ~busy)))


def unrung(db: Session, settings: Settings, limit: int = 200) -> list[Job]:
    """Take the jobs that nobody was told about, or long ago; their rows say that we ring now.

    A ring can be lost with the worker or the broker that had it. For a job that waits although a
    worker of its queue is idle, it is repeated soon: as many jobs as there are such workers.
    """
    taken = _ring_for(
        db, or_(Job.rung_at.is_(None), Job.rung_at < now(-settings.ring_again_after)), limit
    )
    idle = crew.idle(db, settings)
    if idle:
        queues = {queue for worker in idle for queue in worker.queues}
        unheard = Job.queue.in_(queues) & (Job.rung_at < now(-settings.reap_every))
        taken += _ring_for(db, unheard, len(idle))
    return taken


def _ring_for(db: Session, quiet: ColumnElement[bool], limit: int) -> list[Job]:
    due = (
        select(Job.id)
        .where(claimable(), quiet)
        .order_by(Job.due_at.nulls_last(), Job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = db.scalars(
        update(Job)
        .where(Job.id.in_(due))
        .values(rung_at=now())
        .returning(Job)
        .execution_options(synchronize_session=False)
    )
    return list(taken)


def not_rung(db: Session, job_id: UUID) -> None:
    """The bell did not take it: the relay will try again."""
    db.execute(update(Job).where(Job.id == job_id).values(rung_at=None))


def lost(db: Session) -> list[UUID]:
    """Running jobs whose lease has run out."""
    return list(
        db.scalars(
            select(Job.id).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now())
        )
    )


def reap(db: Session, job_id: UUID, settings: Settings) -> bool:
    """Put a lost job back in the queue, or end it after its last attempt; False if it came back."""
    jobs.lock_model(db, db.scalar(select(Job.model_id).where(Job.id == job_id)))
    job = db.scalar(
        select(Job)
        .where(Job.id == job_id, Job.status == JobStatus.RUNNING, Job.lease_expires_at < now())
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if job is None or job.lease_owner is None:
        return False
    claim = Claim(
        job_id=job.id,
        attempt=job.attempt,
        kind=job.kind,
        worker=job.lease_owner,
        model_id=job.model_id,
        dataset_id=job.dataset_id,
        base_version=job.base_version,
        seed=job.seed,
        task=job.task,
    )
    last = job.failures + 1 >= settings.max_attempts
    failure = {
        "code": "attempts_exhausted" if last else "worker_lost",
        "detail": f"The worker {job.lease_owner} went silent in attempt {job.attempt}; after "
        f"{settings.max_attempts} lost or failed attempts a job counts as failed.",
        "retryable": True,
    }
    try:
        if job.cancel_requested_at is not None:
            outcomes.was_cancelled(db, claim)
        else:
            outcomes.broke_down(db, claim, failure, settings.max_attempts)
    except LostClaim:
        return False
    return True


def leftovers(db: Session, job_id: UUID) -> list[str]:
    """Digests of what a job that has ended leaves behind, for their bytes to go; its rows forget them.

    Its checkpoint is a copy of what the run knew, and what shadows said tells of single images; its
    upload holds every image, unless another import still waits for the same bytes.
    """
    job = jobs.get(db, job_id)
    if job.status not in JOB_ENDED:
        return []
    found = [job.checkpoint["digest"]] if job.checkpoint is not None else []
    job.checkpoint = None
    found += shadows.clear(db, job_id)
    upload = job.task.get("upload")
    waiting = select(Job.task).where(Job.kind == JobKind.IMPORT, Job.status.not_in(JOB_ENDED))
    if upload is not None and all(task.get("upload") != upload for task in db.scalars(waiting)):
        found.append(upload)
    return found
