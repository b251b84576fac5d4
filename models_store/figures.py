"""How much there is to do, and how late it is: the numbers of dashboards and alarms."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from models_store import crew, events, forecast
from models_store.columns import now
from models_store.life import JOB_ENDED, REQUEST_OPEN, JobStatus, Queue, RequestStatus
from models_store.settings import Settings
from models_store.tables import ForgetRequest, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts by state; ages in seconds, by the database's clock, None when nothing waits."""

    requests: dict[str, int]
    jobs: dict[str, int]
    waiting: dict[str, int]
    """Queued jobs by queue."""
    oldest_request_seconds: float | None
    """Age of the oldest request that is still open."""
    oldest_job_seconds: float | None
    """Age of the oldest job that is still queued."""
    next_due_at: datetime | None
    overdue: int
    """Open requests whose due date has passed."""
    unrung: int
    """Queued jobs that no worker has been told about."""
    workers: int
    """Workers that gave a sign of life within a lease."""
    prediction_error: float | None
    """By how much of the true seconds the forecasts of recent jobs were off, in the median."""


def take(db: Session, settings: Settings) -> Figures:
    """Count everything, in a few queries."""
    requests = select(ForgetRequest.status, func.count()).group_by(ForgetRequest.status)
    jobs = select(Job.status, func.count()).group_by(Job.status)
    queued = select(Job.queue, func.count()).where(Job.status == JobStatus.QUEUED)
    oldest = select(
        func.min(ForgetRequest.received_at),
        func.min(ForgetRequest.due_at),
        func.count().filter(ForgetRequest.due_at < now()),
    ).where(ForgetRequest.status.in_(REQUEST_OPEN))
    received, due, overdue = db.execute(oldest).one()
    unrung = func.count().filter(Job.rung_at.is_(None))
    waits = select(func.min(Job.created_at), unrung).where(Job.status == JobStatus.QUEUED)
    created, not_rung = db.execute(waits).one()
    moment = events.moment(db)
    return Figures(
        requests=_counts(db, requests, RequestStatus),
        jobs=_counts(db, jobs, JobStatus),
        waiting=_counts(db, queued.group_by(Job.queue), Queue),
        oldest_request_seconds=_age(received, moment),
        oldest_job_seconds=_age(created, moment),
        next_due_at=due,
        overdue=overdue,
        unrung=not_rung,
        workers=crew.present(db, settings),
        prediction_error=forecast.error(db),
    )


def _counts(db: Session, query: Select[Any, int], words: type[StrEnum]) -> dict[str, int]:
    """By state, none left out."""
    return {word.value: 0 for word in words} | {row[0].value: row[1] for row in db.execute(query)}


def _age(since: datetime | None, moment: datetime) -> float | None:
    return None if since is None else float(round((moment - since).total_seconds()))


def ahead(db: Session, job: Job) -> int:
    """How many jobs of the same queue, not yet ended, are in front of this one."""
    before = select(func.count()).where(
        Job.queue == job.queue, Job.status.not_in(JOB_ENDED), Job.id < job.id
    )
    return db.scalar(before) or 0
