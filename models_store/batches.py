"""Requests that wait for the same model and lane, or the same method, share one job."""

import hashlib
from functools import cache
from typing import Any
from uuid import UUID

import rfc8785
from sqlalchemy import Executable, bindparam, select
from sqlalchemy.orm import Session, load_only

from models_store import jobs
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


def open_rung(
    db: Session,
    model: Model,
    members: list[ForgetRequest],
    lane: Lane,
    follows: UUID | None = None,
) -> Job:
    """The model's waiting job of a lane, or a new one, for these requests too; the model is locked."""
    return _join(db, model, members, f"lane:{lane}", Queue(lane), {"lane": lane.value}, follows)


def open_method(db: Session, model: Model, request: ForgetRequest, traits: dict[str, Any]) -> Job:
    """The same for a request that names its method, by that and its parameters."""
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
    job = db.scalar(WAITING, {"model_id": model.id, "batch": batch})
    if job is None:
        job = jobs.open_job(
            db, JobKind.FORGET, queue, task=task, batch=batch, follows=follows,
            model_id=model.id, dataset_id=model.dataset_id,
        )  # fmt: skip
    serving = _serving(db.get_bind().dialect.name)
    for request in members:
        db.execute(serving, {"job_id": job.id, "request_id": request.id})
    due = [request.due_at for request in members if request.due_at is not None]
    job.due_at = min([*due, job.due_at] if job.due_at else due, default=None)
    return job
