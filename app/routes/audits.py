"""`/models/{id}/audit`: the report on a version, and whether the chain of events is whole."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import Field
from pydantic_core import to_json

from app.auth import Owner
from app.negotiation import choose
from app.openapi import follow
from app.paging import page
from app.problems import BadPageToken, NotAcceptable, refusals
from app.routes.records import EventOut
from app.routes.report_shape import AuditReportOut
from app.wire import In, Out, Page, PageSize, PageToken, TheRelay, TheStore, is_known, tagged
from models_store import audits, events, registry, reviews, versions
from models_store.errors import InvalidTransition, NotFound

router = APIRouter(prefix="/models/{model}", tags=["models"])

JSON = "application/json"
INERT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


class ChainOut(Out):
    """What came of recomputing every link of a model's chain."""

    valid: bool
    length: int
    """Links that fit."""
    head: str
    """The hash of the last link that fits; keep it elsewhere to notice a chain cut short."""
    first_bad: int | None
    """The sequence number of the first event that does not fit."""


@router.get(
    "/audit",
    response_class=Response,
    responses={
        200: {
            "description": "The report.",
            "model": AuditReportOut,
            "content": {
                "text/html": {"schema": {"type": "string"}},
                "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **refusals(NotFound, NotAcceptable),
    },
)
def show_audit(
    model: str,
    request: Request,
    store: TheStore,
    version: Annotated[str, Query(description="A number, `active` or `latest`.")] = "active",
) -> Response:
    """The newest audit report on a version: JSON, a page to read, or a PDF, by `Accept`."""
    with store.read() as db:
        found = versions.get(db, registry.get(db, model).id, version)
        audit = audits.latest(db, found.model_id, found.number)
    media = choose(request.headers.get("accept"), [JSON, *sorted(audit.pages)])
    tag = f'"{audit.id.hex}-{media}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    if media == JSON:
        return Response(to_json(audit.document), headers=headers, media_type=JSON)
    path = store.blobs.path(audit.pages[media])
    if not path.is_file():
        raise NotFound(f"The report's {media} page is not in the blob folder.")
    if media == "text/html":
        headers["Content-Security-Policy"] = INERT
    return FileResponse(path, headers=headers, media_type=media)


@router.get("/audit/verify", responses=refusals(NotFound))
def verify_chain(model: str, store: TheStore) -> ChainOut:
    """Recompute the chain of everything that happened to the model; say where it breaks."""
    with store.read() as db:
        chain = events.verify(db, registry.get(db, model).id)
    return ChainOut.model_validate(chain)


@router.get("/events", responses=refusals(NotFound, BadPageToken))
def list_model_events(
    model: str, store: TheStore, page_size: PageSize = 50, page_token: PageToken = None
) -> Page[EventOut]:
    """Everything that happened to the model, oldest first."""
    with store.read() as db:
        found = registry.get(db, model)
        rows, following = page(
            lambda after, limit: events.of_model(db, found.id, after or 0, limit),
            lambda row: row.seq,
            int,
            size=page_size,
            token=page_token,
            filters={"model": found.id},
        )
    return Page(items=[EventOut.of(row) for row in rows], next_page_token=following)


class AuditIn(In):
    """Which audit."""

    tier: Annotated[int, Field(ge=0, le=1)] | None = None
    """0: a screen for obvious failures. 1: attacks with the model's reference pool. By default the
    one that decides by the model's policy."""


class AuditJob(Out):
    """The job that audits."""

    id: UUID
    model: UUID
    version: int
    tier: int


@router.post(
    "/versions/{which}/audit",
    status_code=202,
    response_model=AuditJob,
    responses={
        **follow("show_job", "job_id"),
        **refusals(NotFound, InvalidTransition, "validation"),
    },
)
def audit_version(
    model: str,
    which: str,
    request: Request,
    store: TheStore,
    relay: TheRelay,
    owner: Owner,
    body: Annotated[AuditIn, Body(default_factory=AuditIn)],
) -> Response:
    """Have a version audited once more; the report is added to those that it has."""
    with store.begin() as db:
        found = registry.get(db, model, lock=True)
        version = versions.get(db, found.id, which)
        job = reviews.order(db, found, version, body.tier, owner)
        out = AuditJob(id=job.id, model=found.id, version=version.number, tier=job.task["tier"])
    relay.wake()
    return tagged(request, out, status=202, retry_after=2, Location=f"/jobs/{job.id}")
