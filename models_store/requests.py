"""The life of a forget request, from the moment somebody asks."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, bindparam, select, update
from sqlalchemy.orm import Session, defer, load_only

from models_store import batches, choices, events, lineage, offers, registry, targets, views
from models_store.columns import inserting, new_id, now, table
from models_store.errors import InvalidTransition, KeyReused, NotFound, NotReady
from models_store.failpoints import failpoint
from models_store.life import (
    DUE,
    REQUEST_ENDED,
    REQUEST_NEXT,
    SERVED,
    Goal,
    Lane,
    Regime,
    RequestStatus,
    before,
)
from models_store.tables import Dataset, ForgetRequest, Job, Model, Offer, Version
from models_store.targets import Named, Target
from models_store.views import RequestView


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request as somebody sends it. Either a lane or a method with its parameters."""

    owner: str
    key: str | None
    body_digest: str
    model: str
    target: Target
    lane: Lane | None
    method: str | None
    params: dict[str, Any] = field(default_factory=dict)
    prune: dict[str, Any] | None = None
    """A pruner to run first, its sparsity and other params; only with a method."""
    regime: Regime = Regime.GDPR
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The request, and whether it had been submitted before under the same key."""

    request: ForgetRequest
    view: RequestView
    replayed: bool


def submit(db: Session, ask: Ask) -> Submitted:
    """Accept a request, find what it names, and queue it: all in the caller's transaction.

    Raises:
        KeyReused: the same Idempotency-Key came with another body.
        NotFound, NotReady, UnknownSamples, InvalidParams, NoRecipe: nothing was accepted.
    """
    model = registry.get(db, ask.model, lock=True)
    events.hold(db, str(model.id))
    request = _insert(db, ask, model)
    if request is None:
        earlier = _earlier(db, ask)
        return Submitted(earlier, views.request(db, ask.owner, earlier.id), replayed=True)
    served, dataset = _ground(db, model)
    root = lineage.line(db, served)[-1]
    offer = _refuse_impossible(db, ask, model, root, served)
    targets.write_down(db, request, dataset, ask.target)
    named = targets.survey(db, request, root)
    events.append(
        db, "request.accepted", chain=model.id, actor=ask.owner, request_id=request.id,
        kind=ask.target.kind, count=named.count, lane=ask.lane, method=ask.method, prune=ask.prune,
    )  # fmt: skip
    found = {"target_count": named.count, "already_forgotten": named.already}
    job = None
    if registry.policy_of(model).require_approval:
        accepted = move(db, request, RequestStatus.AWAITING_APPROVAL, ask.owner, **found)
    else:
        accepted, job = _queue(db, request, model, served, named, ask.owner, **found)
    failpoint("submit.before_commit")
    return Submitted(accepted, views.accepted(accepted, model, job, offer), replayed=False)


def _earlier(db: Session, ask: Ask) -> ForgetRequest:
    """The request that has this key already."""
    found = db.scalars(
        select(ForgetRequest).where(ForgetRequest.owner == ask.owner, ForgetRequest.key == ask.key)
    ).one()
    if found.body_digest != ask.body_digest:
        raise KeyReused(
            f"The Idempotency-Key {ask.key!r} was used for another request; use a new one.",
            request=str(found.id),
        )
    return found


_GROUND = (
    select(Version, Dataset)
    .options(defer(Version.provenance), load_only(Dataset.name, Dataset.class_names))
    .join(Dataset, Dataset.id == bindparam("dataset_id"))
    .where(Version.model_id == bindparam("model_id"), Version.state.in_(SERVED))
)


def _ground(db: Session, model: Model) -> tuple[Version, Dataset]:
    """What the model serves, and its dataset. Raises `NotReady`."""
    ground = db.execute(_GROUND, {"model_id": model.id, "dataset_id": model.dataset_id})
    found = ground.one_or_none()
    if found is None:
        raise NotReady(
            f"The model {model.name!r} serves no version yet: upload weights and wait for "
            "their check, or train it."
        )
    return found[0], found[1]


def _refuse_impossible(
    db: Session, ask: Ask, model: Model, root: Version, served: Version
) -> Offer:
    goal = Goal.of(ask.target.kind)
    if ask.method is not None:
        choice = choices.by_name(db, model, goal, ask.method, ask.params, ask.prune)
    else:
        choice = choices.by_lane(db, model, goal, ask.lane or Lane.FAST)
    return choices.refuse_impossible(db, choice, model, root, served)


@cache
def _adding(dialect: str) -> Executable:
    row = inserting(dialect, ForgetRequest).on_conflict_do_nothing()
    return row.returning(table(ForgetRequest).c.id)


def _insert(db: Session, ask: Ask, model: Model) -> ForgetRequest | None:
    """What has been written down, before its first step; None: there is a request with this key."""
    received, clock = events.moment(db), DUE[ask.regime]
    row = {
        "id": new_id(),
        "owner": ask.owner,
        "key": ask.key,
        "body_digest": ask.body_digest,
        "model_id": model.id,
        "target": {"kind": ask.target.kind, "label": ask.target.label},
        "lane": ask.lane,
        "method": ask.method,
        "params": ask.params,
        "prune": ask.prune,
        "regime": ask.regime,
        "note": ask.note,
        "received_at": received,
        "due_at": received + clock if clock else None,
    }
    added = db.scalar(_adding(db.get_bind().dialect.name), row)
    return None if added is None else ForgetRequest(**row)


def enqueue(db: Session, request: ForgetRequest, model: Model, actor: str) -> None:
    """Queue an approved or failed request, or see that there is nothing to do."""
    served, _ = _ground(db, model)
    named = targets.survey(db, request, lineage.line(db, served)[-1])
    _queue(db, request, model, served, named, actor)


def _queue(
    db: Session,
    request: ForgetRequest,
    model: Model,
    served: Version,
    named: Named,
    actor: str,
    **found: Any,
) -> tuple[ForgetRequest, Job | None]:
    targets.mark(db, request)
    if named.to_do == 0:
        return succeed(db, request, served.number, actor, **found), None
    if request.method is None:
        job = batches.open_rung(db, model, [request], request.lane or Lane.FAST)
    else:
        traits = offers.check(db, "method", request.method, request.params).traits
        job = batches.open_method(db, model, request, traits)
    return move(db, request, RequestStatus.QUEUED, actor, job_id=job.id, **found), job


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
) -> ForgetRequest:
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
    return moved


def succeed(
    db: Session, request: ForgetRequest, version: int, actor: str, **columns: Any
) -> ForgetRequest:
    """A version that passed its policy's gates has forgotten what the request names."""
    return move(db, request, RequestStatus.SUCCEEDED, actor, version=version, **columns)


def fail(db: Session, request: ForgetRequest, failure: dict[str, Any], actor: str) -> None:
    """No rung passed, or the job broke down; an interim version is kept."""
    move(db, request, RequestStatus.FAILED, actor, failure=failure)


def get(db: Session, owner: str, request_id: UUID) -> ForgetRequest:
    """Raises `NotFound`, also for somebody else's request."""
    request = db.get(ForgetRequest, request_id)
    if request is None or request.owner != owner:
        raise NotFound(f"There is no forget request {request_id}.")
    return request
