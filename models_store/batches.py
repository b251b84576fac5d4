"""Requests that wait for the same model and lane, or the same method, share one job."""

import hashlib
from functools import cache
from typing import Any
from uuid import UUID

import rfc8785
from sqlalchemy import Executable, bindparam, select
from sqlalchemy.orm import Session, load_only

from models_store import jobs, offers
from models_store.columns import inserting
from models_store.life import JobKind, JobStatus, Lane, Queue
from models_store.tables import ForgetRequest, Job, JobRequest, Model

WAITING = (
    select(Job)
    .where(
        Job.model_id == bindparam("model_id"),
        Job.batch == bindparam("batch"),
        Job.status == JobStatus.QUEUED,
        Job.attempt == 0,
    )
    .options(load_only(Job.due_at, Job.rung_at))
)
"""Put together once: each new request looks for the job that it may join."""


@cache
def _serving(dialect: str) -> Executable:
    return inserting(dialect, JobRequest).on_conflict_do_nothing()


def of_lane(db: Session, model: Model, lane: Lane, follows: UUID | None = None) -> Job:
    """The model's waiting job of a lane, or a new one; the model is locked."""
    return _waiting(db, model, f"lane:{lane}", Queue(lane), {"lane": lane.value}, follows)


def of_request(
    db: Session,
    model: Model,
    lane: Lane | None,
    method: str | None,
    params: dict[str, Any],
    prune: dict[str, Any] | None,
) -> Job:
    """The same for a request: of its method, where it names one, with its parameters and pruner."""
    if method is None:
        return of_lane(db, model, lane or Lane.FAST)
    how = {"method": method, "params": params, "prune": prune}
    digest = hashlib.sha256(rfc8785.dumps(how)).hexdigest()[:16]
    exact = bool(offers.check(db, "method", method, params).traits.get("exact"))
    return _waiting(db, model, f"method:{method}:{digest}", queue_of(exact=exact), how, None)


def queue_of(*, exact: bool) -> Queue:
    """Where a method waits that a request names."""
    return Queue.EXACT if exact else Queue.QUALITY


def _waiting(
    db: Session,
    model: Model,
    batch: str,
    queue: Queue,
    task: dict[str, Any],
    follows: UUID | None,
) -> Job:
    job = db.scalar(WAITING, {"model_id": model.id, "batch": batch})
    if job is not None:
        return job
    return jobs.open_job(
        db, JobKind.FORGET, queue, task=task, batch=batch, follows=follows,
        model_id=model.id, dataset_id=model.dataset_id,
    )  # fmt: skip


def join(db: Session, job: Job, members: list[ForgetRequest]) -> None:
    """Have a waiting job serve these requests too, in time for the first that is due."""
    serving = _serving(db.get_bind().dialect.name)
    db.execute(serving, [{"job_id": job.id, "request_id": request.id} for request in members])
    due = [request.due_at for request in members if request.due_at is not None]
    first = min([*due, job.due_at] if job.due_at else due, default=None)
    if first != job.due_at:  # else the session would look for what has changed
        job.due_at = first
