"""A forget request, from the moment somebody asks until it is written down."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Row, bindparam, select
from sqlalchemy.orm import Session, load_only

from models_store import (
    batches,
    choices,
    events,
    lineage,
    registry,
    steps,
    survey,
    targets,
    views,
)
from models_store.columns import inserting, new_id, table
from models_store.errors import KeyReused, NotFound
from models_store.events import Told
from models_store.failpoints import failpoint
from models_store.life import DUE, SERVED, Goal, Lane, Regime, RequestStatus
from models_store.policy import Step
from models_store.survey import Named
from models_store.tables import Dataset, ForgetRequest, Job, Model, Offer, Version
from models_store.targets import Target
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
    ground = _ground(db, ask, model)
    if ground.earlier is not None:
        return _replayed(db, ask, ground)
    served = steps.ready(model, ground.Version)
    root = lineage.line(db, served)[-1]
    offer = _refuse_impossible(db, ask, model, root, served)
    wanted = targets.sought(db, ground.Dataset, ask.target)
    named = survey.look(db, wanted, model, root)
    step, job = _first_step(db, ask, model, served, named)
    request = _insert(db, ask, model, named, step)
    targets.write_down(db, request, wanted)
    if request.status is not RequestStatus.AWAITING_APPROVAL:
        targets.mark(db, request)
    if job is not None:
        batches.join(db, job, [request])
    _tell(db, ask, request)
    failpoint("submit.before_commit")
    return Submitted(request, views.accepted(request, model, job, offer), replayed=False)


_GROUND = (
    select(
        *events.HEAD, Version, Dataset, Offer,
        ForgetRequest.id.label("earlier"), ForgetRequest.body_digest,
    )
    .options(
        load_only(Version.parent, Version.trained_on, Version.recipe, Version.updates),
        load_only(Dataset.name, Dataset.class_names),
        load_only(Offer.schema, Offer.traits),
    )
    .select_from(Dataset)
    .outerjoin(
        Version, (Version.model_id == bindparam("model_id")) & Version.state.in_(SERVED)
    )
    .outerjoin(Offer, (Offer.kind == "method") & (Offer.name == bindparam("method")))
    .outerjoin(
        ForgetRequest,
        (ForgetRequest.owner == bindparam("owner")) & (ForgetRequest.key == bindparam("key")),
    )
    .where(Dataset.id == bindparam("dataset_id"))
)  # fmt: skip


def _ground(db: Session, ask: Ask, model: Model) -> Row[Any]:
    """What a request meets: the chain's head, what is served, the method, one with its key."""
    asked = {
        "chain": str(model.id),
        "model_id": model.id,
        "dataset_id": model.dataset_id,
        "method": ask.method or _rung(ask, model).method,
        "owner": ask.owner,
        "key": ask.key,
    }
    found = db.execute(_GROUND, asked).one()
    events.held(db, str(model.id), found.at, found.last)
    return found


def _rung(ask: Ask, model: Model) -> Step:
    policy = registry.policy_of(model)
    return policy.rung(Goal.of(ask.target.kind), ask.lane or Lane.FAST)


def _replayed(db: Session, ask: Ask, ground: Row[Any]) -> Submitted:
    if ground.body_digest != ask.body_digest:
        raise _key_reused(ask, ground.earlier)
    request = db.get_one(ForgetRequest, ground.earlier)
    return Submitted(request, views.request(db, ask.owner, request.id), replayed=True)


def _key_reused(ask: Ask, earlier: UUID) -> KeyReused:
    return KeyReused(
        f"The Idempotency-Key {ask.key!r} was used for another request; use a new one.",
        request=str(earlier),
    )


def _refuse_impossible(
    db: Session, ask: Ask, model: Model, root: Version, served: Version
) -> Offer:
    goal = Goal.of(ask.target.kind)
    if ask.method is not None:
        choice = choices.by_name(db, model, goal, ask.method, ask.params, ask.prune)
    else:
        choice = choices.by_lane(db, model, goal, ask.lane or Lane.FAST)
    return choices.refuse_impossible(db, choice, model, root, served)


def _first_step(
    db: Session, ask: Ask, model: Model, served: Version, named: Named
) -> tuple[dict[str, Any], Job | None]:
    """What becomes of a request that is accepted, as columns of its row; its job, if it has one."""
    if registry.policy_of(model).require_approval:
        return {"status": RequestStatus.AWAITING_APPROVAL}, None
    if named.to_do == 0:
        done = {"version": served.number, "finished_at": events.moment(db)}
        return {"status": RequestStatus.SUCCEEDED, **done}, None
    job = batches.of_request(db, model, ask.lane, ask.method, ask.params, ask.prune)
    return {"status": RequestStatus.QUEUED, "job_id": job.id}, job


@cache
def _adding(dialect: str) -> Executable:
    row = inserting(dialect, ForgetRequest).on_conflict_do_nothing()
    return row.returning(table(ForgetRequest).c.id)


def _insert(
    db: Session, ask: Ask, model: Model, named: Named, step: dict[str, Any]
) -> ForgetRequest:
    """Write it down once, its first step taken.

    Raises:
        KeyReused: by a request on another model, in this moment.
    """
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
        "target_count": named.count,
        "already_forgotten": named.already,
        **step,
    }
    if db.scalar(_adding(db.get_bind().dialect.name), row) is None:
        mine = ForgetRequest.owner == ask.owner, ForgetRequest.key == ask.key
        raise _key_reused(ask, db.scalars(select(ForgetRequest.id).where(*mine)).one())
    return ForgetRequest(**row)


def _tell(db: Session, ask: Ask, request: ForgetRequest) -> None:
    """The chain has both: that it was accepted, and its first step."""
    facts = {
        "kind": ask.target.kind,
        "count": request.target_count,
        "lane": ask.lane,
        "method": ask.method,
        "prune": ask.prune,
    }
    more = {"version": request.version} if request.version is not None else {}
    step = f"request.{request.status}"
    told = [
        Told("request.accepted", ask.owner, request.id, None, facts),
        Told(step, ask.owner, request.id, request.job_id, more),
    ]
    events.add(db, request.model_id, told)


def get(db: Session, owner: str, request_id: UUID) -> ForgetRequest:
    """Raises `NotFound`, also for somebody else's request."""
    request = db.get(ForgetRequest, request_id)
    if request is None or request.owner != owner:
        raise NotFound(f"There is no forget request {request_id}.")
    return request
