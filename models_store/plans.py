"""What would become of a request: its job, and the rungs that it may climb, each with its price."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models_store import (
    batches,
    figures,
    forecast,
    lineage,
    offers,
    registry,
    rungs,
    survey,
    versions,
    views,
)
from models_store.costs import Sizes
from models_store.errors import NoRecipe
from models_store.forecast import Bill
from models_store.life import Lane, Queue, RequestStatus
from models_store.policy import Policy
from models_store.rungs import Subject
from models_store.settings import Settings
from models_store.tables import (
    Dataset,
    ForgetRequest,
    Job,
    JobRequest,
    Model,
    RequestSample,
    Sample,
    Version,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RungPlan:
    """One method that would run."""

    lane: Lane | None
    base_version: int
    bill: Bill
    """The method, and the samples of all requests that share its job or that it carries."""
    params_from: str
    """Who named the parameters: see `Choice.source`."""
    prediction: dict[str, Any] | None
    """None while no worker of its queue has measured the net, and where a pruner goes first."""
    refused: NoRecipe | None
    """Why the ladder would leave it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would happen to a request that is sent now."""

    request: ForgetRequest
    to_do: int
    out_of_design: bool
    """The method that serves it was not designed for such a target."""
    joins: UUID | None
    """The waiting job that it would share with others."""
    jobs_ahead: int
    rungs: list[RungPlan]
    """The one that was asked for, then those that follow where its gates are not passed."""


def of(db: Session, request: ForgetRequest, settings: Settings) -> Plan:
    """The plan of a request that has just been submitted, in a transaction to be rolled back."""
    model = db.get_one(Model, request.model_id)
    served = versions.served(db, model.id)
    assert served is not None, "nothing is accepted for a model that serves no version"
    job = db.get(Job, request.job_id) if request.job_id else None
    members = _members(db, job) if job else [request]
    ladder = Ladder(
        settings=settings,
        policy=registry.policy_of(model),
        subject=rungs.subject(db, model),
        served=served,
        request=request,
        members=members,
    )
    lanes = [] if request.status is RequestStatus.SUCCEEDED else ladder.lanes()
    view = views.request(db, request.owner, request.id)
    return Plan(
        request=request,
        out_of_design=view.out_of_design,
        to_do=survey.of_request(db, request, lineage.line(db, served)[-1]).to_do,
        joins=job.id if job and len(members) > 1 else None,
        jobs_ahead=figures.ahead(db, job) if job else 0,
        rungs=[ladder.rung(db, lane) for lane in lanes],
    )


def _members(db: Session, job: Job) -> list[ForgetRequest]:
    mine = select(ForgetRequest).join(JobRequest, JobRequest.request_id == ForgetRequest.id)
    return list(db.scalars(mine.where(JobRequest.job_id == job.id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What all rungs of a plan share."""

    settings: Settings
    policy: Policy
    subject: Subject
    served: Version
    request: ForgetRequest
    members: list[ForgetRequest]

    def lanes(self) -> list[Lane | None]:
        """The lane that was asked for, and those after it; a named method runs alone."""
        if self.request.method is not None:
            return [None]
        known = list(Lane)
        first = known.index(self.request.lane or Lane.FAST)
        return [*known[first : max(first, known.index(self.policy.last_rung)) + 1]]

    def rung(self, db: Session, lane: Lane | None) -> RungPlan:
        """What this lane would run."""
        base = self.served if lane in (None, Lane.FAST) else rungs.safe_base(db, self.served)
        union, request = self._union(db, base), self.request
        task: dict[str, Any] = {"lane": lane} if lane else {
            "method": request.method, "params": request.params, "prune": request.prune,
        }  # fmt: skip
        model = db.get_one(Model, self.subject.model_id)
        choice = rungs.chosen(db, model, task, union, base)
        root = lineage.line(db, base)[-1]
        bill = Bill(
            subject=self.subject,
            method=choice.method,
            params=choice.params,
            prune=choice.prune,
            recipe=root.recipe,
            sizes=self._sizes(db, root, union, scored=base.scores is not None),
        )
        refused = _refusal(root, lane)
        return RungPlan(
            lane=lane,
            base_version=base.number,
            bill=bill,
            params_from=choice.source,
            prediction=None if refused else self._price(db, bill, lane),
            refused=refused,
        )

    def _union(self, db: Session, base: Version) -> list[ForgetRequest]:
        """The members, and what the served version has forgotten but the base has not."""
        own = {request.id for request in self.members}
        carried = lineage.covered(db, self.served) - lineage.covered(db, base) - own
        return [
            *self.members,
            *db.scalars(select(ForgetRequest).where(ForgetRequest.id.in_(carried))),
        ]

    def _sizes(
        self, db: Session, root: Version, union: list[ForgetRequest], *, scored: bool
    ) -> Sizes:
        dataset = db.get_one(Dataset, self.subject.dataset_id)
        positions = select(RequestSample.position).where(
            RequestSample.request_id.in_([each.id for each in union])
        )
        named = Sample.position.in_(positions)
        kept = ~named & Sample.forgotten_by.is_(None)
        seen = lineage.seen_rows(db, root, dataset.id)
        counts = (func.count(), func.count().filter(named), func.count().filter(kept))
        trained, forget, retain = db.execute(seen.with_only_columns(*counts)).one()
        return Sizes(
            forget=forget,
            retain=retain,
            unseen=sum(dataset.counts.values()) - trained,
            scored=scored,
        )

    def _price(self, db: Session, bill: Bill, lane: Lane | None) -> dict[str, Any] | None:
        queue = Queue(lane) if lane else batches.queue_of(exact=offers.is_exact(db, bill.method))
        worker = forecast.likely(db, self.settings, queue, bill.subject)
        return forecast.foresee(db, bill, worker) if worker else None


def _refusal(root: Version, lane: Lane | None) -> NoRecipe | None:
    if lane is not Lane.EXACT or root.recipe is not None:
        return None
    return NoRecipe(
        f"Version {root.number} was registered without its recipe: the ladder ends before "
        "the exact rung."
    )
