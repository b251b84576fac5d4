"""One rung of a ladder: which version it starts from, what it forgets, by which method."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import choices, datasets, events, jobs, lineage, offers, registry, versions
from models_store.choices import Choice
from models_store.claims import Claim
from models_store.life import Goal, Lane, RequestStatus, VersionState
from models_store.policy import Policy
from models_store.tables import (
    Dataset,
    ForgetRequest,
    JobRequest,
    Model,
    RequestSample,
    Version,
)

READABLE = (VersionState.PROVISIONAL, VersionState.ACTIVE, VersionState.SUPERSEDED,
            VersionState.REVOKED)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model as the workshop needs to know it."""

    model_id: UUID
    name: str
    architecture: str
    parameters: dict[str, Any]
    mean: list[float]
    std: list[float]
    dataset_id: UUID
    dataset_name: str
    fingerprint: str
    class_names: list[str]
    shape: list[int]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What one forget job has to do; positions are rows of the dataset, ascending."""

    subject: Subject
    number: int
    """What the new version will be called; reserved at the first attempt."""
    base: int
    weights: str
    scores: str | None
    original: int
    method: str
    params: dict[str, Any]
    params_from: str
    """Who named them: see `Choice.source`."""
    prune: dict[str, Any] | None
    """The pruner to run first."""
    sparse: dict[str, Any] | None
    """By what the base became sparse, if its zeros are to stay."""
    updates: str | None
    """Digest of the training log of the base."""
    lane: Lane | None
    goal: str
    recipe: dict[str, Any] | None
    forget: list[int]
    training: list[int]
    forgotten: list[int]
    requests: dict[UUID, list[int]]
    """The rows that each request names and that this job forgets."""


def subject(db: Session, model: Model) -> Subject:
    """The model and what is known of its dataset."""
    dataset = db.get_one(Dataset, model.dataset_id)
    return Subject(
        model_id=model.id,
        name=model.name,
        architecture=model.architecture,
        parameters=model.parameters,
        mean=model.mean,
        std=model.std,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        fingerprint=dataset.fingerprint or "",
        class_names=dataset.class_names,
        shape=dataset.shape,
        policy=registry.policy_of(model),
    )


def begin(db: Session, claim: Claim) -> Rung | None:
    """Decide what a claimed forget job does and set its requests running.

    The union holds the job's own requests, and those that the served version has forgotten but
    the base has not: a version never takes back what an earlier one forgot. None if every request
    has been withdrawn.
    """
    assert claim.model_id is not None
    model = registry.locked(db, claim.model_id)
    own = _own_requests(db, claim.job_id)
    if not own:
        return None
    lane = Lane(claim.task["lane"]) if claim.task.get("lane") else None
    served = versions.served(db, model.id)
    assert served is not None, "a request is only queued for a model that serves a version"
    base = served if lane in (None, Lane.FAST) else safe_base(db, served)
    carried = lineage.covered(db, served) - lineage.covered(db, base) - {r.id for r in own}
    for request_id in sorted(carried):
        db.merge(JobRequest(job_id=claim.job_id, request_id=request_id, carried=True))
    union = own + [db.get_one(ForgetRequest, request_id) for request_id in sorted(carried)]
    choice = chosen(db, model, claim.task, union, base)
    for request in own:
        start(db, request, claim)
    task = claim.task | {
        "number": versions.reserve(model, claim.task),
        "union": [str(request.id) for request in union],
        "params": choice.params,
        "params_from": choice.source,
        "prune": choice.prune,
    }
    jobs.assign(db, claim, base_version=base.number, method=choice.method, task=task)
    return laid_out(db, model, base, union, task, choice.method)


def chosen(
    db: Session, model: Model, task: Mapping[str, Any], union: list[ForgetRequest], base: Version
) -> Choice:
    """What a forget job of this task runs on this base.

    An earlier attempt has decided on the parameters of a method that was named. A base that a
    lane's pruner has made sparse before is not pruned again.
    """
    if task.get("lane") is None:
        method, params, prune = task["method"], task["params"], task["prune"]
        if "params_from" in task:
            return Choice(method=method, params=params, source=task["params_from"], prune=prune)
        return choices.by_name(db, model, goal_of(union), method, params, prune)
    choice = choices.by_lane(db, model, goal_of(union), Lane(task["lane"]))
    again = choice.prune == base.prune and not offers.is_exact(db, choice.method)
    return replace(choice, prune=None) if again else choice


def goal_of(union: list[ForgetRequest]) -> Goal:
    """`class` if all of the requests name classes, else `samples`."""
    return Goal.of(*(request.target["kind"] for request in union))


def laid_out(
    db: Session,
    model: Model,
    base: Version,
    union: list[ForgetRequest],
    task: dict[str, Any],
    method: str,
) -> Rung:
    """All that is decided about a rung, with the rows that it comes to."""
    named = _rows_of(db, [request.id for request in union])
    root = lineage.line(db, base)[-1]
    training = lineage.training_rows(db, root, model.dataset_id)
    forget = set().union(*named.values()) & set(training)
    return Rung(
        subject=subject(db, model),
        number=task["number"],
        base=base.number,
        weights=base.digest,
        scores=base.scores,
        original=root.number,
        method=method,
        params=task["params"],
        params_from=task["params_from"],
        prune=task.get("prune"),
        sparse=None if offers.is_exact(db, method) else base.prune,
        updates=base.updates,
        lane=Lane(task["lane"]) if task.get("lane") else None,
        goal=goal_of(union),
        recipe=root.recipe,
        forget=sorted(forget),
        training=training,
        forgotten=datasets.forgotten(db, model.dataset_id),
        requests=named,
    )


def _own_requests(db: Session, job_id: UUID) -> list[ForgetRequest]:
    waiting = (RequestStatus.QUEUED, RequestStatus.RUNNING)
    return list(
        db.scalars(
            select(ForgetRequest)
            .join(JobRequest, JobRequest.request_id == ForgetRequest.id)
            .where(
                JobRequest.job_id == job_id,
                ~JobRequest.carried,
                ForgetRequest.status.in_(waiting),
            )
            .order_by(ForgetRequest.id)
        )
    )


def safe_base(db: Session, served: Version) -> Version:
    """The last version that passed its policy's gates, or the original; its weights must be there."""
    ancestors = lineage.line(db, served)
    readable = [v for v in ancestors if v.state in READABLE]
    assured = [v for v in readable if v.assured]
    return (assured or readable[-1:])[0]


def _rows_of(db: Session, request_ids: list[UUID]) -> dict[UUID, list[int]]:
    rows: dict[UUID, list[int]] = {request_id: [] for request_id in request_ids}
    named = select(RequestSample.request_id, RequestSample.position).where(
        RequestSample.request_id.in_(request_ids)
    )
    for request_id, position in db.execute(named.order_by(RequestSample.position)):
        rows[request_id].append(position)
    return rows


def start(db: Session, request: ForgetRequest, claim: Claim) -> None:
    """A request whose job has begun is running; between rungs it stays so."""
    if request.status is RequestStatus.RUNNING:
        return
    request.status = RequestStatus.RUNNING
    request.row_version += 1
    events.append(
        db, "request.running", chain=request.model_id, actor=claim.worker,
        request_id=request.id, job_id=claim.job_id,
    )  # fmt: skip
