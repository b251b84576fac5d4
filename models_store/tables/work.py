"""Requests, the jobs that serve them, and the attempts at each job."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Id, Stamp, choice
from models_store.life import JobKind, JobStatus, Lane, Phase, Queue, Regime, RequestStatus


class ForgetRequest(Base):
    """The legal object: somebody asks that a model forget something."""

    __tablename__ = "requests"
    __table_args__ = (
        UniqueConstraint("owner", "key"),
        CheckConstraint("due_at IS NULL OR due_at > received_at", name="due_after_received"),
        CheckConstraint("extended_at IS NULL OR extension_reason IS NOT NULL", name="reasoned"),
        Index(None, "model_id", "status"),
        Index(None, "status", "id"),
        Index(None, "owner", "id"),
    )

    id: Mapped[Id]
    owner: Mapped[str] = mapped_column(String(64))
    key: Mapped[str | None] = mapped_column(String(255))  # the client's Idempotency-Key
    body_digest: Mapped[str] = mapped_column(String(64))
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"))
    target: Mapped[dict[str, Any]]  # kind and, for a class, its label; IDs are in request_samples
    lane: Mapped[Lane | None] = mapped_column(choice(Lane))
    method: Mapped[str | None] = mapped_column(String(100))
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prune: Mapped[dict[str, Any] | None]  # by what the net is made sparse before the method
    regime: Mapped[Regime] = mapped_column(choice(Regime), default=Regime.GDPR)
    note: Mapped[str | None] = mapped_column(Text)
    status: Mapped[RequestStatus] = mapped_column(
        choice(RequestStatus), default=RequestStatus.ACCEPTED
    )
    target_count: Mapped[int] = mapped_column(default=0)
    already_forgotten: Mapped[dict[str, Any]] = mapped_column(default=dict)
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"), index=True)  # the latest
    interim_version: Mapped[int | None]
    version: Mapped[int | None]
    failure: Mapped[dict[str, Any] | None]
    decision: Mapped[dict[str, Any] | None]  # who approved or denied, and why
    received_at: Mapped[Stamp]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    extended_at: Mapped[datetime | None]
    extension_reason: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None]
    row_version: Mapped[int] = mapped_column(default=1)


class RequestSample(Base):
    """A row of the dataset that a request names: positions, never identifiers."""

    __tablename__ = "request_samples"
    __table_args__ = (Index(None, "dataset_id", "position"),)

    request_id: Mapped[UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"))
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Job(Base):
    """One run of one thing in the workshop; its row is also the bell's outbox."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("uq_jobs_running_forget", "model_id", unique=True,
              sqlite_where=text("status = 'running' AND kind = 'forget'"),
              postgresql_where=text("status = 'running' AND kind = 'forget'")),
        Index("uq_jobs_waiting_batch", "model_id", "batch", unique=True,
              sqlite_where=text("status = 'queued' AND attempt = 0 AND batch IS NOT NULL"),
              postgresql_where=text("status = 'queued' AND attempt = 0 AND batch IS NOT NULL")),
        CheckConstraint("status <> 'running' OR lease_expires_at IS NOT NULL", name="leased"),
        Index(None, "status", "queue", "due_at"),
    )  # fmt: skip

    id: Mapped[Id]
    kind: Mapped[JobKind] = mapped_column(choice(JobKind))
    model_id: Mapped[UUID | None] = mapped_column(ForeignKey("models.id"), index=True)
    dataset_id: Mapped[UUID | None] = mapped_column(ForeignKey("datasets.id"))
    queue: Mapped[Queue] = mapped_column(choice(Queue))
    batch: Mapped[str | None] = mapped_column(String(200))  # requests of one batch share a job
    follows: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))  # the rung before
    task: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the kind needs to know
    base_version: Mapped[int | None]
    method: Mapped[str | None] = mapped_column(String(100))
    status: Mapped[JobStatus] = mapped_column(choice(JobStatus), default=JobStatus.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)  # claims so far: the fencing token
    failures: Mapped[int] = mapped_column(default=0)  # attempts that were lost or failed
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    phase: Mapped[Phase | None] = mapped_column(choice(Phase))
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prediction: Mapped[dict[str, Any] | None]
    checkpoint: Mapped[dict[str, Any] | None]  # digest of the state, and what it belongs to
    seed: Mapped[int] = mapped_column(BigInteger)
    result: Mapped[dict[str, Any] | None]
    failure: Mapped[dict[str, Any] | None]
    due_at: Mapped[datetime | None]
    rung_at: Mapped[datetime | None]
    created_at: Mapped[Stamp]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    row_version: Mapped[int] = mapped_column(default=1)


class JobRequest(Base):
    """A request whose samples a job forgets; `carried` ones were served by an earlier job."""

    __tablename__ = "job_requests"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("requests.id"), primary_key=True, index=True
    )
    carried: Mapped[bool] = mapped_column(default=False)


class Attempt(Base):
    """One claim of a job by one worker."""

    __tablename__ = "attempts"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    worker: Mapped[str] = mapped_column(String(200))
    device: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[Stamp]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(24))
    failure: Mapped[dict[str, Any] | None]
