"""The life of a job: opened, claimed, felt, finished. One guarded UPDATE decides each step."""

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models_store import events
from models_store.claims import Claim, Signal, claimable
from models_store.columns import now
from models_store.errors import LostClaim, NotFound
from models_store.life import BACKGROUND, JobKind, JobStatus, Phase, Queue
from models_store.settings import Settings
from models_store.tables import Attempt, Job, Model


def open_job(
    db: Session,
    kind: JobKind,
    queue: Queue,
    *,
    task: dict[str, Any] | None = None,
    batch: str | None = None,
    follows: UUID | None = None,
    model_id: UUID | None = None,
    dataset_id: UUID | None = None,
    base_version: int | None = None,
    due_at: datetime | None = None,
) -> Job:
    """Queue a job. Whoever commits should then ring; if nobody does, the relay will."""
    job = Job(
        kind=kind,
        queue=queue,
        task=task or {},
        batch=batch,
        follows=follows,
        model_id=model_id,
        dataset_id=dataset_id,
        base_version=base_version,
        due_at=due_at,
        seed=secrets.randbits(62),
    )
    db.add(job)
    db.flush()
    db.refresh(job)
    return job


def get(db: Session, job_id: UUID) -> Job:
    """Raises `NotFound`."""
    job = db.get(Job, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def claim(db: Session, job_id: UUID, worker: str, device: str, settings: Settings) -> Claim | None:
    """Take a queued job; None if it is not there to take, or its model is busy with another."""
    lock_model(db, db.scalar(select(Job.model_id).where(Job.id == job_id)))
    try:
        with db.begin_nested():
            won = db.scalar(
                update(Job)
                .where(Job.id == job_id, claimable())
                .values(
                    status=JobStatus.RUNNING,
                    attempt=Job.attempt + 1,
                    lease_owner=worker,
                    lease_expires_at=now(settings.lease),
                    started_at=now(),
                    phase=Phase.PREPARING,
                    row_version=Job.row_version + 1,
                )
                .returning(Job.attempt)
                .execution_options(synchronize_session=False)
            )
    except IntegrityError:  # another job of this model was claimed in the same moment
        return None
    if won is None:
        return None
    db.add(Attempt(job_id=job_id, attempt=won, worker=worker, device=device))
    job = db.get_one(Job, job_id, populate_existing=True)
    events.append(db, "job.claimed", chain=job.model_id, actor=worker, job_id=job_id, attempt=won)
    return Claim(
        job_id=job_id,
        attempt=won,
        kind=job.kind,
        worker=worker,
        model_id=job.model_id,
        dataset_id=job.dataset_id,
        base_version=job.base_version,
        seed=job.seed,
        task=job.task,
        checkpoint=job.checkpoint,
    )


def beat(
    db: Session,
    claim: Claim,
    settings: Settings,
    phase: Phase | None = None,
    progress: dict[str, Any] | None = None,
) -> Signal:
    """Renew the lease and write down progress. Raises `LostClaim` when the lease is gone."""
    values: dict[str, Any] = {"lease_expires_at": now(settings.lease)}
    if phase is not None:
        values |= {"phase": phase, "progress": progress or {}, "row_version": Job.row_version + 1}
    job = _held(db, claim, values)
    if job.cancel_requested_at is not None:
        return Signal.CANCEL
    return Signal.GIVE_WAY if _someone_is_waiting(db, job) else Signal.GO_ON


def _someone_is_waiting(db: Session, job: Job) -> bool:
    """Background work makes way for fast jobs; what nobody waits for, for its queue's requests too."""
    idle = job.kind in BACKGROUND
    if not (idle or job.follows is not None) or job.queue is Queue.FAST:
        return False
    urgent = (Job.queue == Queue.FAST) & (Job.status == JobStatus.QUEUED)
    if idle:
        urgent |= (
            (Job.queue == job.queue) & Job.kind.in_((JobKind.FORGET, JobKind.AUDIT)) & claimable()
        )
    return bool(db.scalar(select(exists().where(urgent))))


def save_checkpoint(db: Session, claim: Claim, checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """Note where the next attempt may resume; the checkpoint before. Raises `LostClaim`."""
    old = get(db, claim.job_id).checkpoint
    _held(db, claim, {"checkpoint": checkpoint})
    return old


def assign(db: Session, claim: Claim, **columns: Any) -> Job:
    """Write down what was decided when the job began (base, method). Raises `LostClaim`."""
    return _held(db, claim, columns | {"row_version": Job.row_version + 1})


def give_back(db: Session, claim: Claim, reason: str) -> None:
    """Put the job back for another worker; this attempt does not count as failed."""
    lock_model(db, claim.model_id)
    job = _held(db, claim, _idle(JobStatus.QUEUED) | {"rung_at": None})
    _end_attempt(db, claim, "gave_way")
    events.append(
        db, "job.requeued", chain=job.model_id, actor=claim.worker, job_id=job.id, reason=reason
    )


def finish(db: Session, claim: Claim, result: dict[str, Any]) -> Job:
    """The job has succeeded. Raises `LostClaim`, and nothing is written, if it is not ours."""
    lock_model(db, claim.model_id)
    values = {"result": result, "failure": None, "finished_at": now(), "phase": None}
    job = _held(db, claim, _idle(JobStatus.SUCCEEDED) | values)
    _end_attempt(db, claim, "succeeded")
    ring_for_waiting(db, job.model_id)
    events.append(
        db, "job.succeeded", chain=job.model_id, actor=claim.worker, job_id=job.id, **result
    )
    return job


def end(db: Session, claim: Claim, status: JobStatus, failure: dict[str, Any] | None) -> Job:
    """The job has failed for good or is cancelled. Raises `LostClaim`."""
    lock_model(db, claim.model_id)
    values = {"failure": failure, "finished_at": now(), "phase": None}
    job = _held(db, claim, _idle(status) | values)
    _end_attempt(db, claim, status.value, failure)
    ring_for_waiting(db, job.model_id)
    events.append(
        db,
        f"job.{status}",
        chain=job.model_id,
        actor=claim.worker,
        job_id=job.id,
        failure=failure,
    )
    return job


def try_again(db: Session, claim: Claim, failure: dict[str, Any]) -> Job:
    """This attempt failed, but another may do better. Raises `LostClaim`.

    After one that ran out of memory the job's task says `lighter`.
    """
    lock_model(db, claim.model_id)
    values = {"failures": Job.failures + 1, "failure": failure, "rung_at": None}
    if failure["code"] == "out_of_memory":
        values["task"] = get(db, claim.job_id).task | {"lighter": True}
    job = _held(db, claim, _idle(JobStatus.QUEUED) | values)
    _end_attempt(db, claim, "failed", failure)
    events.append(
        db, "job.requeued", chain=job.model_id, actor=claim.worker, job_id=job.id, failure=failure
    )
    return job


def lock_model(db: Session, model_id: UUID | None) -> None:
    """Model, then job, then chain: in one order of locks nobody waits in a circle."""
    if model_id is not None:
        db.execute(select(Model.id).where(Model.id == model_id).with_for_update())


def ring_for_waiting(db: Session, model_id: UUID | None) -> None:
    """Have the relay ring at once for jobs that could not be claimed while the model was busy."""
    if model_id is not None:
        waiting = update(Job).where(Job.model_id == model_id, Job.status == JobStatus.QUEUED)
        db.execute(waiting.values(rung_at=None).execution_options(synchronize_session=False))


def _idle(status: JobStatus) -> dict[str, Any]:
    return {
        "status": status,
        "lease_owner": None,
        "lease_expires_at": None,
        "row_version": Job.row_version + 1,
    }


def _held(db: Session, claim: Claim, values: dict[str, Any]) -> Job:
    """Change the row if this attempt still holds it; else `LostClaim`."""
    held = db.scalar(
        update(Job)
        .where(
            Job.id == claim.job_id,
            Job.attempt == claim.attempt,
            Job.status == JobStatus.RUNNING,
            Job.lease_owner == claim.worker,
        )
        .values(values)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    if held is None:
        raise LostClaim(f"Attempt {claim.attempt} no longer holds job {claim.job_id}.")
    return db.get_one(Job, claim.job_id, populate_existing=True)


def _end_attempt(
    db: Session, claim: Claim, outcome: str, failure: dict[str, Any] | None = None
) -> None:
    db.execute(
        update(Attempt)
        .where(Attempt.job_id == claim.job_id, Attempt.attempt == claim.attempt)
        .values(ended_at=now(), outcome=outcome, failure=failure)
    )
