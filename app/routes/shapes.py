"""A forget request and a job as several paths show them, and a part of what is asked."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from app.wire import Json, Name, Out
from models_store.life import (
    REQUEST_ENDED,
    REQUEST_NEXT,
    JobKind,
    JobStatus,
    Lane,
    Phase,
    Queue,
    Regime,
    RequestStatus,
)
from models_store.policy import Prune
from models_store.views import JobView, RequestView

POLL_SECONDS = {
    RequestStatus.ACCEPTED: 1,
    RequestStatus.QUEUED: 1,
    RequestStatus.RUNNING: 1,
    RequestStatus.AWAITING_APPROVAL: 60,
}


class PruneIn(Prune):
    """Make the net sparse before the method runs; its zeros stay in every version that follows."""

    method: Name
    """A name from `pruners` in `GET /methods`."""
    params: Json = Field(default_factory=dict)
    """Its other parameters; its schema stands next to its name."""


class Failure(Out):
    """Why something failed, and whether a retry makes sense."""

    code: str
    detail: str
    retryable: bool
    version: int | None = None


class RequestOut(Out):
    """A forget request: the legal object, and the monitor of what is done about it."""

    id: UUID
    status: RequestStatus
    phase: Phase | None
    """What its job is at while it runs."""
    job: UUID | None
    """The job that serves it now, or served it last."""
    model: UUID
    model_name: str
    target: dict[str, Any]
    """`kind`, and the `label` of a class; the IDs themselves are not repeated."""
    target_count: int
    """How many samples it names."""
    already_forgotten: dict[str, Any]
    """`count` of them that earlier requests name; the first IDs, and those requests."""
    lane: Lane | None
    method: str | None
    params: dict[str, Any]
    out_of_design: bool
    """Its method was not designed for such a target (`designed_for` in `GET /methods`): it runs
    all the same, and the audit says how far it went."""
    prune: dict[str, Any] | None
    """What made the net sparse first."""
    regime: Regime
    note: str | None
    interim_version: int | None
    """Served meanwhile: the data no longer shows, but not all gates have passed."""
    version: int | None
    """The version that has forgotten it and passed its policy's gates."""
    received_at: datetime
    due_at: datetime | None
    extended_at: datetime | None
    extension_reason: str | None
    finished_at: datetime | None
    failure: Failure | None
    decision: dict[str, Any] | None
    next_actions: dict[str, str]
    """What may be done now: action -> path to POST to."""

    @classmethod
    def of(cls, view: RequestView) -> Self:
        """From the store's rows."""
        request = view.request
        runs = request.status is RequestStatus.RUNNING
        row = {name: getattr(request, name) for name in cls.model_fields if name not in DERIVED}
        return cls.model_validate(
            {
                **row,
                "phase": view.phase if runs else None,
                "job": request.job_id,
                "model": request.model_id,
                "model_name": view.model_name,
                "out_of_design": view.out_of_design,
                "next_actions": {
                    action: f"/forget-requests/{request.id}/{action}" for action in actions(view)
                },
            }
        )


DERIVED = {"phase", "job", "model", "model_name", "out_of_design", "next_actions"}


def actions(view: RequestView) -> list[str]:
    """What the life of this request allows now."""
    request, may = view.request, REQUEST_NEXT[view.request.status]
    found = ["cancel"] if RequestStatus.CANCELLED in may else []
    if request.status is RequestStatus.AWAITING_APPROVAL:
        found += ["approve", "deny"]
    if request.status is RequestStatus.FAILED and (request.failure or {}).get("retryable"):
        found.append("retry")
    if request.status not in REQUEST_ENDED and request.due_at and not request.extended_at:
        found.append("extend")
    return found


class Progress(Out):
    """How far the current phase has come."""

    done: float = 0
    total: float = 0
    percent: float | None = None
    """Of the phase, 0 to 100."""
    epoch: int | None = None
    epochs: int | None = None
    eta_seconds: float | None = None
    """Until the phase ends, as its pace was at the last heartbeat."""

    @classmethod
    def of(cls, progress: dict[str, Any]) -> Self:
        """From what the worker wrote down."""
        done, total = progress.get("done") or 0, progress.get("total") or 0
        known = {name: progress[name] for name in cls.model_fields if progress.get(name)}
        percent = round(100 * min(done / total, 1), 1) if total else None
        return cls.model_validate({**known, "percent": percent})


class JobOut(Out):
    """One run of one thing in the workshop."""

    id: UUID
    kind: JobKind
    status: JobStatus
    phase: Phase | None
    progress: Progress
    queue: Queue
    model: UUID | None
    model_name: str | None
    dataset: UUID | None
    method: str | None
    base_version: int | None
    request_count: int
    """How many forget requests it serves."""
    follows: UUID | None
    """The job of the rung before."""
    attempt: int
    """Claims so far."""
    failures: int
    """Attempts that failed or were lost."""
    worker: str | None
    cancel_requested_at: datetime | None
    prediction: dict[str, Any] | None
    """What a forget job was expected to take when it began: `seconds`, `unlearning_seconds`,
    `peak_memory_bytes`; `result` has what it took."""
    result: dict[str, Any] | None
    failure: Failure | None
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, view: JobView, **more: Any) -> Self:
        """From the store's rows, and what a subclass adds."""
        job = view.job
        derived = more | {
            "progress": Progress.of(job.progress),
            "model": job.model_id,
            "model_name": view.model_name,
            "dataset": job.dataset_id,
            "request_count": view.request_count,
            "worker": job.lease_owner,
        }
        row = {name: getattr(job, name) for name in JobOut.model_fields if name not in derived}
        return cls.model_validate({**row, **derived})
