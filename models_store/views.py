"""Rows together with what belongs to them, in as many queries for a page as for one."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session, load_only

from models_store import audits, events, offers, registry, versions
from models_store.errors import NotFinished, NotFound
from models_store.life import REQUEST_ENDED, Goal, Lane
from models_store.tables import Audit, Event, ForgetRequest, Job, JobRequest, Model, Offer

Row = TypeVar("Row", Job, Model)


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request, the name of its model, and the job that serves it now or served it last."""

    request: ForgetRequest
    model_name: str
    job: Job | None
    out_of_design: bool
    """The method that serves it, or will, was not designed for such a target."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job, the name of its model, and how many requests it serves."""

    job: Job
    model_name: str | None
    request_count: int


_METHOD = func.coalesce(ForgetRequest.method, Job.method)
ONE = (
    select(ForgetRequest, Model, Job, _METHOD, Offer.traits)
    .join(Model, Model.id == ForgetRequest.model_id)
    .outerjoin(Job, Job.id == ForgetRequest.job_id)
    .outerjoin(Offer, (Offer.kind == "method") & (Offer.name == _METHOD))
    .where(ForgetRequest.id == bindparam("request_id"), ForgetRequest.owner == bindparam("owner"))
    .options(load_only(Job.phase, Job.method), load_only(Model.name, Model.policy))
)
"""Put together once: that takes as long as asking it."""


def request(db: Session, owner: str, request_id: UUID) -> RequestView:
    """One request of this owner, in one query: it is polled. Raises `NotFound`."""
    row = db.execute(ONE, {"request_id": request_id, "owner": owner}).one_or_none()
    if row is None:
        raise NotFound(f"There is no forget request {request_id}.")
    found, model, job, named, traits = row
    if named is None:  # the policy will choose
        return _view(found, model, job, offers.designed_for(db))
    return _view(found, model, job, {named: offers.design(traits)} if traits else {})


def of_requests(db: Session, requests: Sequence[ForgetRequest]) -> list[RequestView]:
    """Three queries, however many requests."""
    models = _by_id(db, Model, {request.model_id for request in requests})
    jobs = _by_id(db, Job, {request.job_id for request in requests if request.job_id})
    designed = offers.designed_for(db) if requests else {}
    views = []
    for request in requests:
        job = jobs.get(request.job_id) if request.job_id else None
        views.append(_view(request, models[request.model_id], job, designed))
    return views


def _view(
    request: ForgetRequest, model: Model, job: Job | None, designed: dict[str, Collection[str]]
) -> RequestView:
    goal = Goal.of(request.target["kind"])
    method = _method(request, model, job, goal)
    return RequestView(request, model.name, job, goal not in designed.get(method, (goal,)))


def _method(request: ForgetRequest, model: Model, job: Job | None, goal: str) -> str:
    """What serves the request: what it named, what its job took, or what the policy will take."""
    if request.method or (job is not None and job.method):
        return request.method or str(job.method if job else "")
    return registry.policy_of(model).rung(goal, request.lane or Lane.FAST).method


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


def _by_id(db: Session, table: type[Row], ids: set[UUID]) -> dict[UUID, Row]:
    if not ids:
        return {}
    return {row.id: row for row in db.scalars(select(table).where(table.id.in_(ids)))}


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
