"""`/forget-requests/{id}/events` and `/certificate`: what happened, and what can be shown for it."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from threading import Event as Flag
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

import anyio
from fastapi import APIRouter, Header, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool

from app.auth import Owner
from app.negotiation import choose
from app.problems import NotAcceptable, refusals
from app.wire import Out, Small, TheStore, tagged
from models_store import events, requests, views
from models_store.errors import NotFinished, NotFound
from models_store.life import REQUEST_ENDED, Lane, Regime, RequestStatus, VersionState
from models_store.store import Store
from models_store.tables import Event

router = APIRouter(
    prefix="/forget-requests/{request_id}",
    tags=["forget requests"],
    responses=refusals(NotFound),
)

SSE = "text/event-stream"
LOOK_EVERY = 1.0
PING_EVERY = 15.0
LIFE = 300.0
"""Seconds until a stream ends and the caller comes again with `Last-Event-ID`."""
RECONNECT_MS = 1000


class EventOut(Out):
    """A link in the chain of what happened."""

    seq: int
    type: str
    actor: str
    at: datetime
    request: UUID | None
    job: UUID | None
    facts: dict[str, Any]
    prev_hash: str
    hash: str

    @classmethod
    def of(cls, event: Event) -> "EventOut":
        """From the row, whose payload is canonical JSON."""
        facts = json.loads(event.payload)
        head = {name: facts.pop(name) for name in ("type", "actor", "at", "request", "job")}
        links = {name: getattr(event, name) for name in ("seq", "prev_hash", "hash")}
        return cls.model_validate({**head, **links, "facts": facts})


class Events(Out):
    """All events of a request, in order."""

    items: list[EventOut]


@router.get(
    "/events",
    response_model=Events,
    responses={
        200: {"content": {SSE: {"schema": {"type": "string"}}}},
        204: {"description": "The stream has told everything: do not come again."},
        **refusals(NotFound, NotAcceptable),
    },
)
def list_request_events(
    request_id: UUID,
    request: Request,
    store: TheStore,
    owner: Owner,
    last_event_id: Annotated[Small | None, Header()] = None,
) -> Response:
    """What happened to a request: JSON, or a live stream for `Accept: text/event-stream`."""
    wanted = choose(request.headers.get("accept"), ["application/json", SSE])
    told, ended = _news(store, owner, request_id, last_event_id or 0)
    if wanted != SSE:
        return tagged(request, Events(items=told))
    if ended and not told:
        return Response(status_code=204)
    stopping: Flag = request.app.state.stopping
    return EventSourceResponse(
        _stream(store, owner, request_id, last_event_id or 0, stopping),
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _news(store: Store, owner: str, request_id: UUID, after: int) -> tuple[list[EventOut], bool]:
    """Events since then, and whether there will be no more."""
    with store.read() as db:
        ended = requests.get(db, owner, request_id).status in REQUEST_ENDED
        return [EventOut.of(event) for event in events.of_request(db, request_id, after)], ended


async def _stream(
    store: Store, owner: str, request_id: UUID, after: int, stopping: Flag
) -> AsyncIterator[bytes]:
    """Events as they come. Between two looks it holds neither a connection nor a thread."""
    yield format_sse_event(retry=RECONNECT_MS)
    began = spoke = monotonic()
    ended = False
    while not ended and not stopping.is_set() and monotonic() - began < LIFE:
        told, ended = await run_in_threadpool(_news, store, owner, request_id, after)
        for event in told:
            after = event.seq
            yield format_sse_event(
                data_str=event.model_dump_json(), event=event.type, id=str(event.seq)
            )
        if told:
            spoke = monotonic()
        elif monotonic() - spoke >= PING_EVERY:
            yield KEEPALIVE_COMMENT
            spoke = monotonic()
        await anyio.sleep(0 if ended else LOOK_EVERY)


class Proof(Out):
    """The version that forgot it, and what its audit found."""

    version: int
    state: VersionState
    digest: str
    method: str
    params: dict[str, Any]
    audit: UUID | None
    verdict: str | None
    assurance: str | None


class Milestone(Out):
    """An event, as the certificate names it."""

    seq: int
    type: str
    at: datetime
    hash: str


class Certificate(Out):
    """The facts of a request that has ended. Its hashes tie it to the model's chain of events."""

    schema_name: str
    request: UUID
    model: UUID
    model_name: str
    status: RequestStatus
    target: dict[str, Any]
    target_count: int
    lane: Lane | None
    method: str | None
    regime: Regime
    received_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    proof: Proof | None
    """None where nothing had to be forgotten, or the request was withdrawn or denied."""
    failure: dict[str, Any] | None
    decision: dict[str, Any] | None
    events: list[Milestone]
    chain_head: str | None
    """The hash of the newest event of the model when this was written."""


SAME = (
    "status", "target", "target_count", "lane", "method", "regime",
    "received_at", "due_at", "finished_at", "failure", "decision",
)  # fmt: skip


@router.get("/certificate", response_model=Certificate, responses=refusals(NotFinished))
def show_certificate(request_id: UUID, request: Request, store: TheStore, owner: Owner) -> Response:
    """What was asked, what was done, when, and with what result."""
    with store.read() as db:
        found = requests.get(db, owner, request_id)
        facts = views.certificate(db, found)
        out = Certificate.model_validate(
            {
                **{name: getattr(found, name) for name in SAME},
                "schema_name": "lethe-certificate/1",
                "request": found.id,
                "model": found.model_id,
                "model_name": facts.model_name,
                "proof": facts.proof,
                "events": facts.events,
                "chain_head": facts.chain_head,
            }
        )
    return tagged(request, out)
