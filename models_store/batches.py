"""Requests that wait for the same model and lane, or the same method, share one job."""

import hashlib
from typing import Any
from uuid import UUID

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import jobs
from models_store.life import JobKind, JobStatus, Lane, Queue
from models_store.tables import ForgetRequest, Job, JobRequest, Model


def open_rung(
    db: Session,
    model: Model,
    members: list[ForgetRequest],
    lane: Lane,
    follows: UUID | None = None,
) -> Job:
    """Put requests into the model's waiting job of a lane, or open one. The model is locked."""
    return _join(db, model, members, f"lane:{lane}", Queue(lane), {"lane": lane.value}, follows)


def open_method(db: Session, model: Model, request: ForgetRequest, traits: dict[str, Any]) -> Job:
    """Put a request that names its method into the waiting job of that method and parameters."""
    assert request.method is not None
    how = {"method": request.method, "params": request.params, "prune": request.prune}
    digest = hashlib.sha256(rfc8785.dumps(how)).hexdigest()[:16]
    queue = queue_of(exact=bool(traits.get("exact")))
    return _join(db, model, [request], f"method:{request.method}:{digest}", queue, how, None)


def queue_of(*, exact: bool) -> Queue:
    """Where a method waits that a request names."""
    return Queue.EXACT if exact else Queue.QUALITY


def _join(
    db: Session,
    model: Model,
    members: list[ForgetRequest],
    batch: str,
    queue: Queue,
    task: dict[str, Any],
    follows: UUID | None,
) -> Job:
    job = db.scalar(
        select(Job).where(
            Job.model_id == model.id,
            Job.batch == batch,
            Job.status == JobStatus.QUEUED,
            Job.attempt == 0,
        )
    )
    if job is None:
        job = jobs.open_job(
            db, JobKind.FORGET, queue, task=task, batch=batch, follows=follows,
            model_id=model.id, dataset_id=model.dataset_id,
        )  # fmt: skip
    for request in members:
        db.merge(JobRequest(job_id=job.id, request_id=request.id))
        request.job_id = job.id
    due = [request.due_at for request in members if request.due_at is not None]
    job.due_at = min([*due, job.due_at] if job.due_at else due, default=None)
    db.flush()
    return job
