"""What a rung will take, before it runs: asked of the tables, and kept beside what it then took."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import rfc8785
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from models_store import costs, crew, jobs, lineage, prices, rungs
from models_store.claims import Claim
from models_store.costs import Gauge, Sizes, UnknownCost
from models_store.life import JobKind, JobStatus, Queue
from models_store.prices import Past
from models_store.rungs import Rung, Subject
from models_store.settings import Settings
from models_store.tables import (
    Attempt,
    Dataset,
    Job,
    Model,
    Offer,
    Sample,
    Version,
    Worker,
)

RECENT = 100
"""Finished jobs that are looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a price is asked for."""

    subject: Subject
    method: str
    params: Mapping[str, Any]
    prune: Mapping[str, Any] | None
    recipe: Mapping[str, Any] | None
    sizes: Sizes


def net_of(subject: Subject) -> str:
    """By what name a worker's rates know a net: all that its operations hang on."""
    form = "x".join(map(str, subject.shape))
    parameters = rfc8785.dumps(subject.parameters).decode()
    return f"{subject.architecture} {parameters} {form} {len(subject.class_names)}"


def note(db: Session, claim: Claim, rung: Rung) -> float | None:
    """Write down with a job that begins what it is expected to take; the method's own seconds.

    Raises `LostClaim`.
    """
    worker = db.get(Worker, claim.worker)
    if worker is None:
        return None
    gone = set(rung.forget) | set(rung.forgotten)
    rows = db.get_one(Dataset, rung.subject.dataset_id).counts
    sizes = Sizes(
        forget=len(rung.forget),
        retain=len(rung.training) - len(gone.intersection(rung.training)),
        unseen=sum(rows.values()) - len(rung.training),
        scored=rung.scores is not None,
    )
    bill = Bill(
        subject=rung.subject, method=rung.method, params=rung.params, prune=rung.prune,
        recipe=rung.recipe, sizes=sizes,
    )  # fmt: skip
    found = foresee(db, bill, worker)
    jobs.assign(db, claim, prediction=found)
    return found["unlearning_seconds"] if found else None


def foresee(db: Session, bill: Bill, worker: Worker) -> dict[str, Any] | None:
    """The prediction for a rung on a worker.

    None where the net has not been measured, or the method says no cost, or a pruner goes first:
    pruners say none.
    """
    net = net_of(bill.subject)
    measured = worker.rates.get("nets", {}).get(net)
    offer = db.get(Offer, ("method", bill.method))
    if measured is None or offer is None or "cost" not in offer.traits or bill.prune is not None:
        return None
    gauge = Gauge(**measured)
    known = costs.numbers(costs.defaults(offer.schema)) | costs.numbers(bill.params)
    known |= costs.numbers(_recipe(db, bill), "recipe_")
    known["classes"] = len(bill.subject.class_names)
    try:
        work = costs.work(offer.traits["cost"], worker.rates["audit"], known, bill.sizes, gauge)
    except UnknownCost:
        return None
    found = prices.price(
        work, bill.method, net, gauge, worker.rates["idle_bytes"], past(db, worker.device)
    )
    return asdict(found) | {
        "method": bill.method,
        "device": worker.device,
        "net": net,
        "work": asdict(work),
    }


def rehearsed(
    db: Session, model: Model, root: Version, job: Job, offer: Offer
) -> dict[str, Any] | None:
    """The prediction for a tuning: its method at the sizes of a rehearsal, once for each try.

    Looking at the images counts for each try too, what a job takes beside that only once. None where
    `foresee` says none, and while no worker is there that has measured the net.
    """
    settings: Settings = db.info["settings"]
    subject, shorter = rungs.subject(db, model), offer.traits.get("rehearsal")
    worker = likely(db, settings, job.queue, subject)
    if worker is None or shorter is None:
        return None
    left = lineage.seen_rows(db, root, model.dataset_id).where(Sample.forgotten_by.is_(None))
    label = job.task.get("label")
    gone = job.task["size"] if label is None else _count(db, left.where(Sample.label == label))
    sizes = Sizes(
        forget=gone,
        retain=round(shorter["shown"] * max(0, _count(db, left) - gone)),
        unseen=db.get_one(Dataset, model.dataset_id).counts.get("holdout", 0),
        scored=True,
    )
    bill = Bill(
        subject=subject, method=offer.name, params=shorter["params"], prune=None,
        recipe=root.recipe, sizes=sizes,
    )  # fmt: skip
    found = foresee(db, bill, worker)
    if found is None:
        return None
    tries, method = shorter["tries"], found["unlearning_seconds"]
    looking = found["work"]["auditing"] * worker.rates["nets"][found["net"]]["forward_rate"]
    whole = found["seconds"] + (tries - 1) * (method + looking)
    return found | {"unlearning_seconds": round(tries * method, 3), "seconds": round(whole, 3)}


def _count(db: Session, rows: Select[int]) -> int:
    return db.scalar(select(func.count()).select_from(rows.subquery())) or 0


def _recipe(db: Session, bill: Bill) -> dict[str, Any]:
    offer = db.get(Offer, ("recipe", "default"))
    return (costs.defaults(offer.schema) if offer else {}) | dict(bill.recipe or {})


def likely(db: Session, settings: Settings, queue: Queue, subject: Subject) -> Worker | None:
    """A present worker of this queue that has measured the net, best one that waits for work."""
    net, busy = net_of(subject), crew.busy(db)
    fit = [
        worker
        for worker in crew.alive(db, settings)
        if queue in worker.queues and net in worker.rates.get("nets", {})
    ]
    return min(fit, key=lambda worker: worker.name in busy, default=None)


# ---- what came of it -----------------------------------------------------------------------------


def past(db: Session, device: str) -> list[Past]:
    """Jobs that ran to their end at once on such a device, newest first."""
    rows = _ended(db, device)
    return [
        Past(
            net=said["net"],
            method=said["method"],
            unlearning=said["work"]["unlearning"],
            auditing=said["work"]["auditing"],
            memory_bytes=said["work"]["memory_bytes"],
            unlearning_seconds=took["rte_seconds"],
            seconds=took["seconds"],
            peak_memory_bytes=took["peak_memory_bytes"],
        )
        for said, took in rows
    ]


def error(db: Session) -> float | None:
    """By how much of the true seconds recent predictions were off, in the median."""
    off = [abs(said["seconds"] / took["seconds"] - 1) for said, took in _ended(db)]
    return round(median(off), 4) if off else None


def _ended(
    db: Session, device: str | None = None
) -> Sequence[tuple[dict[str, Any], dict[str, Any]]]:
    """Prediction and result, newest first."""
    query = (
        select(Job.prediction, Job.result)
        .join(Attempt, Attempt.job_id == Job.id)
        .where(
            Job.kind == JobKind.FORGET,
            Job.status == JobStatus.SUCCEEDED,
            Job.attempt == 1,  # one that was resumed took less than its work
            Job.prediction.is_not(None),
        )
        .order_by(Job.id.desc())
        .limit(RECENT)
    )
    if device is not None:
        query = query.where(Attempt.device == device)
    rows = [(said, took) for said, took in db.execute(query) if said and took]
    return [(said, took) for said, took in rows if "processes" not in took]  # at another pace
