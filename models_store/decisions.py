"""What people may do to a request: withdraw it, approve or deny it, retry it, put off its date."""

from datetime import timedelta

from dateutil.relativedelta import relativedelta
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from models_store import events, lineage, registry, targets, versions
from models_store.columns import now
from models_store.errors import InvalidTransition
from models_store.life import REQUEST_NEXT, JobStatus, Regime, RequestStatus
from models_store.steps import enqueue, move
from models_store.tables import ForgetRequest, Job, JobRequest, Model


def cancel(db: Session, request: ForgetRequest, actor: str) -> Job | None:
    """Withdraw a request; the job to be told, if one is running for it alone.

    A running job that serves others too goes on, without this request. Raises
    `InvalidTransition` once the request has ended.
    """
    model = registry.locked(db, request.model_id)
    db.refresh(request)
    job = db.get(Job, request.job_id) if request.job_id else None
    if job is not None and job.status is JobStatus.RUNNING and _alone(db, job, request):
        return _ask_to_stop(db, job, request, actor)
    move(db, request, RequestStatus.CANCELLED, actor)
    if job is not None and job.status is JobStatus.QUEUED:
        _leave(db, job, request)
    let_go(db, request, model)
    return None


def let_go(db: Session, request: ForgetRequest, model: Model) -> None:
    """Samples of a withdrawn request may be retained again, unless a version forgot them."""
    served = versions.served(db, model.id)
    if served is None or request.id not in lineage.covered(db, served):
        targets.unmark(db, request)


def _alone(db: Session, job: Job, request: ForgetRequest) -> bool:
    others = (
        select(func.count())
        .select_from(JobRequest)
        .join(ForgetRequest, ForgetRequest.id == JobRequest.request_id)
        .where(
            JobRequest.job_id == job.id,
            ~JobRequest.carried,
            JobRequest.request_id != request.id,
            ForgetRequest.status.in_((RequestStatus.QUEUED, RequestStatus.RUNNING)),
        )
    )
    return not db.scalar(others)


def _ask_to_stop(db: Session, job: Job, request: ForgetRequest, actor: str) -> Job:
    if RequestStatus.CANCELLED not in REQUEST_NEXT[request.status]:
        raise InvalidTransition(f"The request is {request.status}.", status=request.status)
    db.execute(
        update(Job)
        .where(Job.id == job.id, Job.status == JobStatus.RUNNING)
        .values(cancel_requested_at=now(), row_version=Job.row_version + 1)
    )
    request.row_version += 1
    events.append(
        db, "request.cancel_requested", chain=request.model_id, actor=actor,
        request_id=request.id, job_id=job.id,
    )  # fmt: skip
    return job


def _leave(db: Session, job: Job, request: ForgetRequest) -> None:
    db.execute(
        delete(JobRequest).where(JobRequest.job_id == job.id, JobRequest.request_id == request.id)
    )
    left = select(func.count()).where(JobRequest.job_id == job.id, ~JobRequest.carried)
    if not db.scalar(left):
        db.execute(
            update(Job)
            .where(Job.id == job.id, Job.status == JobStatus.QUEUED)
            .values(status=JobStatus.CANCELLED, finished_at=now(), row_version=Job.row_version + 1)
        )


def approve(db: Session, request: ForgetRequest, actor: str) -> None:
    """Queue a request that awaited approval. Raises `InvalidTransition`."""
    model = registry.locked(db, request.model_id)
    _still(db, request, RequestStatus.AWAITING_APPROVAL)
    request.decision = {"approved_by": actor}
    enqueue(db, request, model, actor)


def deny(db: Session, request: ForgetRequest, reason: str, detail: str, actor: str) -> None:
    """Refuse a request that awaited approval, with the reason the law asks for."""
    registry.locked(db, request.model_id)
    _still(db, request, RequestStatus.AWAITING_APPROVAL)
    decision = {"denied_by": actor, "reason": reason, "detail": detail}
    move(db, request, RequestStatus.DENIED, actor, decision=decision)


def retry(db: Session, request: ForgetRequest, actor: str) -> None:
    """Queue a failed request again. Raises `InvalidTransition`."""
    model = registry.locked(db, request.model_id)
    _still(db, request, RequestStatus.FAILED)
    request.failure, request.finished_at = None, None
    enqueue(db, request, model, actor)


def extend(db: Session, request: ForgetRequest, reason: str, actor: str) -> None:
    """Put off the due date once, before it has come: +2 months (GDPR), +45 days (CCPA)."""
    _lock(db, request)
    moment = events.moment(db)
    ended = not REQUEST_NEXT[request.status] or request.status is RequestStatus.FAILED
    if request.due_at is None or request.extended_at or ended or request.due_at <= moment:
        raise InvalidTransition(
            "A due date is put off once, while the request is open and before the date has come."
        )
    more = timedelta(days=45) if request.regime is Regime.CCPA else relativedelta(months=2)
    request.due_at += more
    request.extended_at, request.extension_reason = moment, reason
    request.row_version += 1
    events.append(
        db, "request.extended", chain=request.model_id, actor=actor, request_id=request.id,
        due_at=request.due_at.isoformat(), reason=reason,
    )  # fmt: skip


def _lock(db: Session, request: ForgetRequest) -> None:
    registry.locked(db, request.model_id)
    db.refresh(request)


def _still(db: Session, request: ForgetRequest, status: RequestStatus) -> None:
    db.refresh(request)
    if request.status is not status:
        raise InvalidTransition(
            f"The request is {request.status}, not {status}.", status=request.status
        )
