"""The life of a forget request, from the moment somebody asks."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models_store import batches, choices, events, lineage, offers, registry, targets, versions
from models_store.columns import inserting, now
from models_store.errors import InvalidTransition, KeyReused, NotFound, NotReady
from models_store.failpoints import failpoint
from models_store.life import DUE, REQUEST_NEXT, Goal, Lane, Regime, RequestStatus, before
from models_store.tables import Dataset, ForgetRequest, Model, Version
from models_store.targets import Named, Target


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
    replayed: bool


def submit(db: Session, ask: Ask) -> Submitted:
    """Accept a request, find what it names, and queue it: all in the caller's transaction.

    Raises:
        KeyReused: the same Idempotency-Key came with another body.
        NotFound, NotReady, UnknownSamples, InvalidParams, NoRecipe: nothing was accepted.
    """
    model = registry.get(db, ask.model, lock=True)
    if earlier := _replay(db, ask):  # perhaps it came while we waited for the model
        return Submitted(earlier, replayed=True)
    served, dataset = _served(db, model), db.get_one(Dataset, model.dataset_id)
    _refuse_impossible(db, ask, model, served)
    request = _insert(db, ask, model)
    if request is None:
        earlier = _replay(db, ask)
        assert earlier is not None
        return Submitted(earlier, replayed=True)
    with db.no_autoflush:  # both in one statement, with the event
        request.target_count = targets.write_down(db, request, dataset, ask.target)
        named = targets.survey(db, request, served)
        request.already_forgotten = named.already
    events.append(
        db, "request.accepted", chain=model.id, actor=ask.owner, request_id=request.id,
        kind=ask.target.kind, count=named.count, lane=ask.lane, method=ask.method, prune=ask.prune,
    )  # fmt: skip
    if registry.policy_of(model).require_approval:
        move(db, request, RequestStatus.AWAITING_APPROVAL, ask.owner)
    else:
        _queue(db, request, model, served, named, ask.owner)
    failpoint("submit.before_commit")
    return Submitted(request, replayed=False)


def _replay(db: Session, ask: Ask) -> ForgetRequest | None:
    if ask.key is None:
        return None
    found = db.scalar(
        select(ForgetRequest).where(ForgetRequest.owner == ask.owner, ForgetRequest.key == ask.key)
    )
    if found is not None and found.body_digest != ask.body_digest:
        raise KeyReused(
            f"The Idempotency-Key {ask.key!r} was used for another request; use a new one.",
            request=str(found.id),
        )
    return found


def _served(db: Session, model: Model) -> Version:
    served = versions.served(db, model.id)
    if served is None:
        raise NotReady(
            f"The model {model.name!r} serves no version yet: upload weights and wait for "
            "their check, or train it."
        )
    return served


def _refuse_impossible(db: Session, ask: Ask, model: Model, served: Version) -> None:
    goal = Goal.of(ask.target.kind)
    if ask.method is not None:
        choice = choices.by_name(db, model, goal, ask.method, ask.params, ask.prune)
    else:
        choice = choices.by_lane(db, model, goal, ask.lane or Lane.FAST)
    choices.refuse_impossible(db, choice, model, lineage.line(db, served)[-1], served)


def _insert(db: Session, ask: Ask, model: Model) -> ForgetRequest | None:
    """None: the same key came for another model in the same moment."""
    received = events.moment(db)
    clock = DUE[ask.regime]
    row = inserting(db.get_bind().dialect.name)(ForgetRequest).values(
        owner=ask.owner,
        key=ask.key,
        body_digest=ask.body_digest,
        model_id=model.id,
        target={"kind": ask.target.kind, "label": ask.target.label},
        lane=ask.lane,
        method=ask.method,
        params=ask.params,
        prune=ask.prune,
        regime=ask.regime,
        note=ask.note,
        received_at=received,
        due_at=received + clock if clock else None,
    )
    return db.scalar(row.on_conflict_do_nothing().returning(ForgetRequest))


def enqueue(db: Session, request: ForgetRequest, model: Model, actor: str) -> None:
    """Queue an approved or failed request, or see that there is nothing to do."""
    served = _served(db, model)
    _queue(db, request, model, served, targets.survey(db, request, served), actor)


def _queue(
    db: Session, request: ForgetRequest, model: Model, served: Version, named: Named, actor: str
) -> None:
    targets.mark(db, request)
    if named.to_do == 0:
        succeed(db, request, served.number, actor)
        return
    if request.method is None:
        job = batches.open_rung(db, model, [request], request.lane or Lane.FAST)
    else:
        traits = offers.check(db, "method", request.method, request.params).traits
        job = batches.open_method(db, model, request, traits)
    request.job_id = job.id
    move(db, request, RequestStatus.QUEUED, actor)


def move(
    db: Session, request: ForgetRequest, status: RequestStatus, actor: str, **columns: Any
) -> None:
    """Take one step of `life.REQUEST_NEXT`, or raise `InvalidTransition`; tell the chain."""
    db.flush()
    moved = db.scalar(
        update(ForgetRequest)
        .where(
            ForgetRequest.id == request.id,
            ForgetRequest.status.in_(before(REQUEST_NEXT, status)),
        )
        .values(status=status, row_version=ForgetRequest.row_version + 1, **columns)
        .returning(ForgetRequest)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if moved is None:
        db.refresh(request)
        raise InvalidTransition(
            f"The request is {request.status} and cannot become {status}.", status=request.status
        )
    events.append(
        db, f"request.{status}", chain=request.model_id, actor=actor,
        request_id=request.id, job_id=request.job_id,
        **{key: value for key, value in columns.items() if key in ("failure", "version")},
    )  # fmt: skip


def succeed(db: Session, request: ForgetRequest, version: int, actor: str) -> None:
    """A version that passed its policy's gates has forgotten what the request names."""
    move(db, request, RequestStatus.SUCCEEDED, actor, version=version, finished_at=now())


def fail(db: Session, request: ForgetRequest, failure: dict[str, Any], actor: str) -> None:
    """No rung passed, or the job broke down; an interim version is kept."""
    move(db, request, RequestStatus.FAILED, actor, failure=failure, finished_at=now())


def get(db: Session, owner: str, request_id: UUID) -> ForgetRequest:
    """Raises `NotFound`, also for somebody else's request."""
    request = db.get(ForgetRequest, request_id)
    if request is None or request.owner != owner:
        raise NotFound(f"There is no forget request {request_id}.")
    return request


def page(
    db: Session,
    owner: str,
    after: UUID | None,
    limit: int,
    *,
    status: RequestStatus | None = None,
    model_id: UUID | None = None,
) -> list[ForgetRequest]:
    """The owner's requests, newest first."""
    query = select(ForgetRequest).where(ForgetRequest.owner == owner)
    query = query.order_by(ForgetRequest.id.desc()).limit(limit)
    if after is not None:
        query = query.where(ForgetRequest.id < after)
    if status is not None:
        query = query.where(ForgetRequest.status == status)
    if model_id is not None:
        query = query.where(ForgetRequest.model_id == model_id)
    return list(db.scalars(query))
