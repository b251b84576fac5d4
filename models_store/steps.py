"""The steps of a request's life after it was written down: one guarded UPDATE each, told to the chain."""

from functools import cache
from typing import Any

from sqlalchemy import Executable, bindparam, update
from sqlalchemy.orm import Session

from models_store import batches, events, lineage, survey, targets, versions
from models_store.columns import now
from models_store.errors import InvalidTransition, NotReady
from models_store.life import REQUEST_ENDED, REQUEST_NEXT, RequestStatus, before
from models_store.tables import ForgetRequest, Model, Version


def ready(model: Model, served: Version | None) -> Version:
    """What the model serves. Raises `NotReady`."""
    if served is None:
        raise NotReady(
            f"The model {model.name!r} serves no version yet: upload weights and wait for "
            "their check, or train it."
        )
    return served


def enqueue(db: Session, request: ForgetRequest, model: Model, actor: str) -> None:
    """Queue an approved or failed request, or see that there is nothing to do."""
    served = ready(model, versions.served(db, model.id))
    named = survey.of_request(db, request, lineage.line(db, served)[-1])
    targets.mark(db, request)
    if named.to_do == 0:
        succeed(db, request, served.number, actor)
        return
    job = batches.of_request(db, model, request.lane, request.method, request.params, request.prune)
    batches.join(db, job, [request])
    move(db, request, RequestStatus.QUEUED, actor, job_id=job.id)


@cache
def _step(status: RequestStatus, columns: tuple[str, ...]) -> Executable:
    """A step of a request's life that also fills these columns, put together once."""
    ends = {"finished_at": now()} if status in REQUEST_ENDED else {}
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return (
        update(ForgetRequest)
        .where(
            ForgetRequest.id == bindparam("request"),
            ForgetRequest.status.in_(before(REQUEST_NEXT, status)),
        )
        .values(status=status, row_version=ForgetRequest.row_version + 1, **ends, **values)
        .returning(ForgetRequest)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def move(
    db: Session, request: ForgetRequest, status: RequestStatus, actor: str, **columns: Any
) -> None:
    """Take one step of `life.REQUEST_NEXT`, or raise `InvalidTransition`; tell the chain."""
    db.flush()
    values = {f"new_{name}": value for name, value in columns.items()}
    step = _step(status, tuple(columns))
    moved: ForgetRequest | None = db.scalar(step, {"request": request.id, **values})
    if moved is None:
        db.refresh(request)
        raise InvalidTransition(
            f"The request is {request.status} and cannot become {status}.", status=request.status
        )
    events.append(
        db, f"request.{status}", chain=moved.model_id, actor=actor,
        request_id=moved.id, job_id=moved.job_id,
        **{key: value for key, value in columns.items() if key in ("failure", "version")},
    )  # fmt: skip


def succeed(db: Session, request: ForgetRequest, version: int, actor: str) -> None:
    """A version that passed its policy's gates has forgotten what the request names."""
    move(db, request, RequestStatus.SUCCEEDED, actor, version=version)


def fail(db: Session, request: ForgetRequest, failure: dict[str, Any], actor: str) -> None:
    """No rung passed, or the job broke down; an interim version is kept."""
    move(db, request, RequestStatus.FAILED, actor, failure=failure)
