"""`/methods`, `/audits`, `/nets`, `/workers`, `/doctor`, `/stats`: what the workshop can do, and how it is."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.problems import refusals
from app.wire import Out, TheStore, tagged
from models_store import crew, doctor, figures, offers
from models_store.errors import ObjectsAway
from models_store.store import Store

router = APIRouter(tags=["operations"])


class OfferOut(Out):
    """Something that workers can do."""

    name: str
    about: str
    """What it promises, and where it comes from."""
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    """JSON Schema of its parameters."""
    traits: dict[str, Any]
    """Of a method: `designed_for` (class, samples), `needs`, `exact`, its `cost` in images, and whether
    it is `tunable`, and then by what `rehearsal`; of a pruner `needs` and `exact`."""
    offered_at: datetime


class Offers(Out):
    """By name."""

    items: list[OfferOut]


class Methods(Offers):
    """By name, and what may be run before them."""

    pruners: list[OfferOut]
    """What makes a net sparse, by the field `prune` of a forget request."""


class WorkerOut(Out):
    """A worker process, as it last reported."""

    name: str
    queues: list[str]
    device: str
    host: str
    pid: int
    software: dict[str, Any]
    job: UUID | None = None
    """What it is at, if anything."""
    state: Literal["warming", "ready"]
    """`ready`: imports, device, datasets and nets are warm, and it takes work."""
    rates: dict[str, Any]
    """What it has measured: `nets` by architecture and shape, with operations and pace."""
    started_at: datetime
    last_beat_at: datetime


class Workers(Out):
    """Those that have not signed out."""

    items: list[WorkerOut]


class FindingsOut(Out):
    """What is not as it should be; all empty is a clean bill of health."""

    orphans: list[str]
    """Files in the blob folder that no row owns."""
    missing: list[str]
    """Digests that a row owns and the folder does not have."""
    remembering: list[dict[str, Any]]
    """Versions that can still be read and remember what requests have had forgotten."""
    references: list[dict[str, Any]]
    """Members of reference pools whose bytes are there and that saw what had to be forgotten."""


class Stats(Out):
    """Counts by state, and how old the oldest open thing is (by the database's clock)."""

    requests: dict[str, int]
    jobs: dict[str, int]
    waiting: dict[str, int]
    """Queued jobs by queue."""
    oldest_request_seconds: float | None
    oldest_job_seconds: float | None
    next_due_at: datetime | None
    overdue: int
    unrung: int
    """Queued jobs that no worker was told about; without a broker, workers look for themselves."""
    workers: int
    prediction_error: float | None
    """By how much of the true seconds the forecasts of recent jobs were off, in the median."""


@router.get("/methods", response_model=Methods)
def list_methods(request: Request, store: TheStore) -> Response:
    """The unlearning methods and pruners on offer, with the schema of their parameters."""
    return tagged(
        request, Methods(items=_offers(store, "method"), pruners=_offers(store, "pruner"))
    )


@router.get("/audits", response_model=Offers)
def list_audits(request: Request, store: TheStore) -> Response:
    """The questions that are put to every version."""
    return _offered(request, store, "audit")


@router.get("/nets", response_model=Offers)
def list_nets(request: Request, store: TheStore) -> Response:
    """The architectures on offer."""
    return _offered(request, store, "net")


def _offered(request: Request, store: Store, kind: str) -> Response:
    return tagged(request, Offers(items=_offers(store, kind)))


def _offers(store: Store, kind: str) -> list[OfferOut]:
    with store.read() as db:
        return [OfferOut.model_validate(offer) for offer in offers.listed(db, kind)]


@router.get("/workers", response_model=Workers)
def list_workers(request: Request, store: TheStore) -> Response:
    """Who works here; one whose `last_beat_at` is old has died or lost the database."""
    with store.read() as db:
        busy = crew.busy(db)
        items = [
            WorkerOut.model_validate(worker).model_copy(update={"job": busy.get(worker.name)})
            for worker in crew.listed(db)
        ]
    return tagged(request, Workers(items=items))


@router.get("/doctor", responses=refusals(ObjectsAway))
def examine(store: TheStore) -> FindingsOut:
    """Compare rows with files, and versions with what should be forgotten; it may take long."""
    with store.read() as db:
        return FindingsOut.model_validate(doctor.examine(db, store.blobs, store.objects))


@router.get("/stats", response_model=Stats)
def show_stats(request: Request, store: TheStore) -> Response:
    """How much there is to do, and how late it is."""
    with store.read() as db:
        out = Stats.model_validate(figures.take(db, store.settings))
    return tagged(request, out)
