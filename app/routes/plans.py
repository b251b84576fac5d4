"""What `POST /forget-requests?dry_run=true` answers: what would happen, and what it would cost."""

from typing import Any, Self
from uuid import UUID

from app.wire import Out
from models_store.life import Lane, RequestStatus
from models_store.plans import Plan, RungPlan


class Prediction(Out):
    """What a rung is expected to take: operations counted, times what recent jobs took."""

    seconds: float
    """From its start until its version is published, audit included."""
    unlearning_seconds: float
    """Of the method alone."""
    peak_memory_bytes: int
    device: str
    """Of the worker that it was worked out for."""


class LeftOut(Out):
    """Why a rung cannot run; the same problem as for a request that asks for it."""

    type: str
    """`/problems/{slug}`"""
    detail: str


class RungOut(Out):
    """One method that would run."""

    lane: Lane | None
    method: str
    params: dict[str, Any]
    """Beside the method's own defaults."""
    params_from: str
    """Who named them: `request`, `policy`, `tuning {id}`, `recipe {name}`, or `method` where it
    runs by its own defaults."""
    prune: dict[str, Any] | None
    """What would run before it."""
    base_version: int
    """The version that it would start from."""
    forget: int
    """Samples that it would forget, those of requests that share its job among them."""
    retain: int
    """Samples that it would keep."""
    prediction: Prediction | None
    """Null while no worker of its queue is ready that has measured the net, and with `prune`."""
    refused: LeftOut | None

    @classmethod
    def of(cls, rung: RungPlan) -> Self:
        """From the store's plan."""
        bill, refused = rung.bill, rung.refused
        return cls(
            lane=rung.lane,
            method=bill.method,
            params=dict(bill.params),
            params_from=rung.params_from,
            prune=None if bill.prune is None else dict(bill.prune),
            base_version=rung.base_version,
            forget=bill.sizes.forget,
            retain=bill.sizes.retain,
            prediction=Prediction.model_validate(rung.prediction) if rung.prediction else None,
            refused=refused and LeftOut(type=f"/problems/{refused.slug}", detail=refused.detail),
        )


class PlanOut(Out):
    """What would happen; nothing was written."""

    model: UUID
    status: RequestStatus
    """Where the request would stand: `queued`, `awaiting_approval`, or at its end."""
    target_count: int
    """Samples that the target names."""
    to_do: int
    """Of them, trained on and not yet forgotten by the served version."""
    already_forgotten: dict[str, Any]
    lane: Lane | None
    method: str | None
    out_of_design: bool
    """The method that serves it first was not designed for such a target."""
    joins: UUID | None
    """The waiting job that it would share with other requests; null where it opens its own."""
    jobs_ahead: int
    """Jobs in front of it in its queue."""
    rungs: list[RungOut]
    """What would run first, and what may follow while its gates are not passed."""

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """From the store's plan."""
        request = plan.request
        return cls(
            model=request.model_id,
            status=request.status,
            target_count=request.target_count,
            to_do=plan.to_do,
            already_forgotten=request.already_forgotten,
            lane=request.lane,
            method=request.method,
            out_of_design=plan.out_of_design,
            joins=plan.joins,
            jobs_ahead=plan.jobs_ahead,
            rungs=[RungOut.of(rung) for rung in plan.rungs],
        )
