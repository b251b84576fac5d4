"""`/certificates`: what tier 2 says of a method on models of a kind; ordered for a model."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator

from app.auth import Owner
from app.openapi import follow
from app.paging import page
from app.problems import BadPageToken, refusals
from app.wire import In, Json, Name, Out, Page, PageSize, PageToken, TheRelay, TheStore, tagged
from models_store import certificates, desk, registry
from models_store.certificates import Order
from models_store.errors import InvalidParams, InvalidTransition, NoRecipe, NotFound, NotReady
from models_store.life import JOB_ENDED, Goal, Grant, JobStatus
from models_store.tables import Certificate, Job

router = APIRouter(tags=["models"])

SHADOWS = {Goal.SAMPLES: 12, Goal.CLASS: 6}
"""By default; of classes each is two trainings."""
LEAST = {Goal.SAMPLES: 9, Goal.CLASS: 5}
"""So that each image has two shadows beside its own in each part; and a spread over classes."""
MOST = 126


class CertificateIn(In):
    """Which method is to be certified, and for which requests."""

    method: Name
    """A name from `GET /methods`."""
    params: Json = Field(default_factory=dict)
    """None: the model's tuned parameters, a recipe's, or the method's own defaults."""
    kind: Goal
    """`samples`, or `class`: one class at a time."""
    size: Annotated[int, Field(ge=10, lt=2**31, examples=[500])] | None = None
    """For samples: the largest forget set that it is to cover; a shadow forgets as many."""
    shadows: Annotated[int, Field(ge=5, le=MOST)] | None = None
    """Trainings: 12 for samples, a multiple of 3 and at least 9; 6 for a class, two trainings each.
    More can tell more."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.kind is Goal.SAMPLES) == (self.size is None):
            raise ValueError("give `size` for samples, and for nothing else")
        count = self.count
        if count < LEAST[self.kind] or (self.kind is Goal.SAMPLES and count % 3):
            raise ValueError("for samples give 9, 12, 15 or more `shadows`; for a class at least 5")
        return self

    @property
    def count(self) -> int:
        """How many shadows."""
        return SHADOWS[self.kind] if self.shadows is None else self.shadows


class GateOut(Out):
    """One number that the shadows showed."""

    test: str
    estimate: float | None
    low: float | None
    """Of the 95 % interval."""
    high: float | None
    n: int
    unit: str
    before: float | None
    """The same before forgetting."""
    gate: str | None
    """The rule in words; null where the number only reports."""
    verdict: str | None
    reason: str
    power: float | None
    """The chance that a method without any trace passes; of canaries, that a leak is found."""
    details: dict[str, Any]


class CertificateOut(Out):
    """A certificate, or what has been asked of a method and is not decided yet."""

    id: UUID
    job: UUID
    model: UUID
    """That it was ordered for; it holds for all that are built and trained alike."""
    architecture: str
    dataset_id: UUID
    method: str
    params: dict[str, Any]
    """With the method's defaults."""
    kind: Goal
    size: int
    """The largest forget set: samples, or classes at once."""
    shadows: int
    status: JobStatus
    """Of its job."""
    verdict: Grant | None
    """None until it is decided."""
    reason: str | None
    attempt: int | None
    """How often the same was decided on, this time included; each time at a stricter level."""
    software: str | None
    created_at: datetime
    granted_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def of(cls, row: Certificate, job: Job, **more: Any) -> Self:
        """From the store's rows, and what a subclass adds."""
        told = {"job": job.id, "model": row.model_id, "kind": row.goal, "status": job.status}
        return cls.model_validate({**vars(row), **told, **more})


class CertificateDetail(CertificateOut):
    """A certificate with all that was measured."""

    figures: list[GateOut]


@router.post(
    "/models/{model}/certificates",
    status_code=202,
    response_model=CertificateOut,
    responses={
        **follow("show_job", "job_id"),
        **refusals(NotFound, NotReady, InvalidParams, NoRecipe, "validation"),
    },
)
def order_certificate(
    model: str,
    body: CertificateIn,
    request: Request,
    store: TheStore,
    relay: TheRelay,
    owner: Owner,
) -> Response:
    """Try a method on shadows of a model; it takes as long as training them all."""
    wanted = Order(method=body.method, params=body.params, size=body.size, shadows=body.count)
    with store.begin() as db:
        row = certificates.order(db, registry.get(db, model, lock=True), wanted, owner)
        out = CertificateOut.of(*certificates.get(db, row.id))
    relay.wake()
    return tagged(request, out, status=202, retry_after=5, Location=f"/jobs/{out.job}")


@router.get("/certificates", responses=refusals(NotFound, BadPageToken))
def list_certificates(
    store: TheStore,
    model: Annotated[str | None, Query(description="Id or name of who ordered.")] = None,
    method: str | None = None,
    kind: Goal | None = None,
    verdict: Grant | None = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Page[CertificateOut]:
    """Certificates, those that are being decided and those that were refused, newest first."""
    with store.read() as db:
        model_id = registry.get(db, model).id if model else None
        rows, following = page(
            lambda after, limit: certificates.page(
                db, after, limit, model_id=model_id, method=method, goal=kind, verdict=verdict
            ),
            lambda found: found[0].id,
            UUID,
            size=page_size,
            token=page_token,
            filters={"model": model_id, "method": method, "kind": kind, "verdict": verdict},
        )
    items = [CertificateOut.of(row, job) for row, job in rows]
    return Page(items=items, next_page_token=following)


@router.get(
    "/certificates/{certificate}", response_model=CertificateDetail, responses=refusals(NotFound)
)
def show_certificate_of_method(certificate: UUID, request: Request, store: TheStore) -> Response:
    """A certificate with every figure."""
    with store.read() as db:
        row, job = certificates.get(db, certificate)
    out = CertificateDetail.of(row, job, figures=row.figures or [])
    return tagged(request, out, retry_after=None if job.status in JOB_ENDED else 5)


@router.post(
    "/certificates/{certificate}/cancel",
    response_model=CertificateOut,
    responses=refusals(NotFound, InvalidTransition),
)
def cancel_certificate(
    certificate: UUID, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Withdraw the order of a certificate; one that is being decided stops at the next step."""
    with store.begin() as db:
        row, job = certificates.get(db, certificate)
        left = desk.withdraw(db, job, "certificate", owner)
        out = CertificateOut.of(row, job)
    for digest in left:
        store.blobs.drop(digest)
    return tagged(request, out)
