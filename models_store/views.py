"""Rows together with what belongs to them, in as many queries for a page as for one."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Integer, Row, Select, bindparam, func, select
from sqlalchemy.orm import Session

from models_store import audits, events, offers, versions
from models_store.columns import table
from models_store.errors import NotFinished, NotFound
from models_store.life import REQUEST_ENDED, Goal, Lane, Phase, RequestStatus
from models_store.policy import Policy
from models_store.tables import Audit, Event, ForgetRequest, Job, JobRequest, Model, Offer

T = TypeVar("T", Job, Model)


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request, the name of its model, and how the job stands that serves it, or did so last."""

    request: Row[Any] | ForgetRequest
    """Its columns."""
    model_name: str
    phase: Phase | None
    rung: bool
    """A worker has been told of the job."""
    out_of_design: bool
    """The method that serves it, or will, was not designed for such a target."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job, the name of its model, and how many requests it serves."""

    job: Job
    model_name: str | None
    request_count: int


_R, _M, _J, _O = (table(kind).c for kind in (ForgetRequest, Model, Job, Offer))
_METHOD = func.coalesce(_R.method, _J.method)
_SHOWN = (
    select(
        table(ForgetRequest), _M.name.label("model_name"), _M.policy, _J.phase, _J.rung_at,
        _METHOD.label("taken"), _O.traits,
    )
    .join(table(Model), _M.id == _R.model_id)
    .outerjoin(table(Job), _J.id == _R.job_id)
    .outerjoin(table(Offer), (_O.kind == "method") & (_O.name == _METHOD))
)  # fmt: skip
_ONE = _SHOWN.where(_R.id == bindparam("request_id"), _R.owner == bindparam("owner"))
"""Put together once: that takes as long as asking it."""


def request(db: Session | Connection, owner: str, request_id: UUID) -> RequestView:
    """One request of this owner: it is polled. Raises `NotFound`."""
    row = db.execute(_ONE, {"request_id": request_id, "owner": owner}).one_or_none()
    if row is None:
        raise NotFound(f"There is no forget request {request_id}.")
    return _views(db, [row])[0]


def accepted(request: ForgetRequest, model: Model, job: Job | None, offer: Offer) -> RequestView:
    """One that has just come in, without another look: its job, if it has one, has not begun."""
    return RequestView(
        request=request,
        model_name=model.name,
        phase=None,
        rung=job is not None and job.rung_at is not None,
        out_of_design=Goal.of(request.target["kind"]) not in offers.design(offer.traits),
    )


def page(
    db: Session,
    owner: str,
    after: UUID | None,
    limit: int,
    *,
    status: RequestStatus | None = None,
    model_id: UUID | None = None,
) -> list[RequestView]:
    """The owner's requests, newest first: as many queries however many they are."""
    wanted = {"after": after, "status": status, "model_id": model_id}
    given = {name: value for name, value in wanted.items() if value is not None}
    query = _page(frozenset(given))
    return _views(db, db.execute(query, {"owner": owner, "limit": limit, **given}).all())


@cache
def _page(given: frozenset[str]) -> Select[*tuple[Any, ...]]:
    filters = {
        "after": _R.id < bindparam("after"),
        # One plan for all states would read every request to find that none is queued.
        "status": _R.status == bindparam("status", literal_execute=True),
        "model_id": _R.model_id == bindparam("model_id"),
    }
    chosen = [condition for name, condition in filters.items() if name in given]
    newest = _SHOWN.where(_R.owner == bindparam("owner"), *chosen).order_by(_R.id.desc())
    return newest.limit(bindparam("limit", type_=Integer()))


def _views(db: Session | Connection, rows: Sequence[Row[Any]]) -> list[RequestView]:
    undecided = any(row.taken is None for row in rows)  # the policy will choose a method
    designed = offers.designed_for(db) if undecided else {}
    return [
        RequestView(
            request=row,
            model_name=row.model_name,
            phase=row.phase,
            rung=row.rung_at is not None,
            out_of_design=_out_of_design(row, designed),
        )
        for row in rows
    ]


def _out_of_design(row: Row[Any], designed: dict[str, Collection[str]]) -> bool:
    goal = Goal.of(row.target["kind"])
    if row.taken is None:
        policy = Policy.model_validate(row.policy)
        return goal not in designed.get(policy.rung(goal, row.lane or Lane.FAST).method, (goal,))
    return goal not in offers.design(row.traits or {})


def of_jobs(db: Session, jobs: Sequence[Job]) -> list[JobView]:
    """Two queries, however many jobs."""
    models = _by_id(db, Model, {job.model_id for job in jobs if job.model_id})
    served = select(JobRequest.job_id, func.count()).where(
        JobRequest.job_id.in_([job.id for job in jobs]), ~JobRequest.carried
    )
    counts: dict[UUID, int] = {row[0]: row[1] for row in db.execute(served.group_by("job_id"))}
    return [
        JobView(
            job,
            models[job.model_id].name if job.model_id else None,
            counts.get(job.id, 0),
        )
        for job in jobs
    ]


def _by_id(db: Session, kind: type[T], ids: set[UUID]) -> dict[UUID, T]:
    if not ids:
        return {}
    return {row.id: row for row in db.scalars(select(kind).where(kind.id.in_(ids)))}


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be shown for a request that has ended."""

    model_name: str
    proof: dict[str, Any] | None
    """The version that forgot it, and the verdict on it."""
    events: list[dict[str, Any]]
    chain_head: str | None


def certificate(db: Session, request: ForgetRequest) -> Facts:
    """The facts of a request that has ended, with the hashes that tie them to its model's chain.

    Raises:
        NotFinished: the request is still open.
    """
    if request.status not in REQUEST_ENDED:
        raise NotFinished(
            f"The request is {request.status}: a certificate is written once it has ended.",
            status=request.status,
        )
    chain = str(request.model_id)
    head = select(Event.hash).where(Event.chain == chain).order_by(Event.seq.desc()).limit(1)
    return Facts(
        model_name=db.get_one(Model, request.model_id).name,
        proof=_proof(db, request),
        events=[
            {"seq": e.seq, "type": e.type, "at": json.loads(e.payload)["at"], "hash": e.hash}
            for e in events.of_request(db, request.id)
        ],
        chain_head=db.scalar(head),
    )


def _proof(db: Session, request: ForgetRequest) -> dict[str, Any] | None:
    number = request.version or request.interim_version
    if number is None:
        return None
    version = versions.get(db, request.model_id, str(number))
    audit: Audit | None
    try:
        audit = audits.latest(db, request.model_id, number)
    except NotFound:
        audit = None
    return {
        "version": number,
        "state": version.state,
        "digest": version.digest,
        "method": version.method,
        "params": version.params,
        "prune": version.prune,
        "audit": audit.id if audit else None,
        "verdict": audit.verdict if audit else None,
        "assurance": audit.assurance if audit else None,
    }
