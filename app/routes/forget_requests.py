"""`/forget-requests`: ask that a model forget something, and see how that goes."""

import hashlib
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StrictInt, model_validator

from app.auth import Owner
from app.openapi import follow
from app.paging import page
from app.problems import BadPageToken, MalformedKey, refusals
from app.routes.plans import PlanOut
from app.routes.shapes import POLL_SECONDS, PruneIn, RequestOut
from app.wire import (
    IdempotencyKey,
    Identifier,
    In,
    Json,
    Name,
    Page,
    PageSize,
    PageToken,
    Text,
    TheRelay,
    TheStore,
    canonical,
    tagged,
)
from models_store import plans, registry, requests, views
from models_store.errors import (
    InvalidParams,
    KeyReused,
    NoRecipe,
    NotFound,
    NotReady,
    TooLarge,
    UnknownSamples,
)
from models_store.failpoints import failpoint
from models_store.life import Lane, Regime, RequestStatus
from models_store.requests import Ask, Submitted
from models_store.settings import Settings
from models_store.targets import Target

router = APIRouter(prefix="/forget-requests", tags=["forget requests"])


class Samples(In):
    """Some samples, by their IDs."""

    kind: Literal["samples"]
    sample_ids: Annotated[list[Identifier], Field(min_length=1)]


class Class(In):
    """Every training sample of a class."""

    kind: Literal["class"]
    label: Annotated[StrictInt, Field(ge=0, lt=2**31)] | Identifier
    """Its number or its name."""


class Subjects(In):
    """Every sample that is about these people."""

    kind: Literal["subjects"]
    subject_ids: Annotated[list[Identifier], Field(min_length=1)]


class AskIn(In):
    """What is to be forgotten, and how. Without lane and method: the fast lane."""

    model: Annotated[str, Field(min_length=1, max_length=200, examples=["digits"])]
    """Id or name."""
    target: Annotated[Samples | Class | Subjects, Field(discriminator="kind")]
    lane: Lane | None = None
    method: Name | None = None
    """A name from `GET /methods`, in place of a lane: it runs alone."""
    params: Json = Field(default_factory=dict)
    """Of the method; its schema stands next to its name."""
    prune: PruneIn | None = None
    """A first stage, before the method."""
    regime: Regime = Regime.GDPR
    """Sets the due date."""
    note: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.lane is not None and self.method is not None:
            raise ValueError("give a lane or a method, not both")
        if self.params and self.method is None:
            raise ValueError("`params` belong to a `method`; name it")
        if self.prune and self.method is None:
            raise ValueError("`prune` goes before a `method`; name it")
        return self


@router.post(
    "",
    status_code=202,
    response_model=RequestOut,
    responses={
        200: {"model": PlanOut, "description": "With `dry_run`: what would happen."},
        **follow("show_forget_request", "request_id"),
        **refusals(
            MalformedKey, NotFound, NotReady, TooLarge,
            UnknownSamples, InvalidParams, NoRecipe, KeyReused, "validation",
        ),
    },
)  # fmt: skip
def ask_to_forget(
    body: AskIn,
    request: Request,
    store: TheStore,
    relay: TheRelay,
    owner: Owner,
    key: IdempotencyKey,
    *,
    dry_run: Annotated[bool, Query(description="Only say what would happen.")] = False,
) -> Response:
    """Ask for something to be forgotten. Answers at once; follow `Location` for the end."""
    ask = _understood(body, owner, None if dry_run else key, store.settings)
    if dry_run:
        with store.begin() as db:
            plan = PlanOut.of(plans.of(db, requests.submit(db, ask).request, store.settings))
            db.rollback()
        return Response(plan.model_dump_json(), media_type="application/json")
    with store.begin() as db:
        submitted = requests.submit(db, ask)
    failpoint("submit.after_commit")
    if submitted.request.job_id is not None and not submitted.view.rung:
        relay.wake()
    return _accepted(request, submitted, RequestOut.of(submitted.view))


def _accepted(request: Request, submitted: Submitted, out: RequestOut) -> Response:
    headers = {"Location": f"{router.prefix}/{out.id}"}
    if submitted.replayed:
        headers["Idempotency-Replayed"] = "true"
    wait = POLL_SECONDS.get(out.status)
    return tagged(request, out, status=202, retry_after=wait, **headers)


def _understood(body: AskIn, owner: str, key: str | None, settings: Settings) -> Ask:
    said = body.model_dump(mode="json", exclude_unset=True)
    target, names = body.target, list[str]()
    if isinstance(target, Samples):
        names = target.sample_ids
    elif isinstance(target, Subjects):
        names = target.subject_ids
    if len(names) > settings.max_sample_ids:
        raise TooLarge(
            f"The target names {len(names)} {target.kind}; one request may name "
            f"{settings.max_sample_ids}. Split it.",
            limit=settings.max_sample_ids,
        )
    label = target.label if isinstance(target, Class) else None
    return Ask(
        owner=owner,
        key=key,
        body_digest=hashlib.sha256(canonical(said)).hexdigest(),
        model=body.model,
        target=Target(target.kind, tuple(names), label),
        lane=body.lane if body.lane or body.method else Lane.FAST,
        method=body.method,
        params=body.params,
        prune=body.prune.model_dump(mode="json") if body.prune else None,
        regime=body.regime,
        note=body.note,
    )


@router.get("", response_model=Page[RequestOut], responses=refusals(BadPageToken, NotFound))
def list_forget_requests(
    request: Request,
    store: TheStore,
    owner: Owner,
    status: RequestStatus | None = None,
    model: Annotated[str | None, Query(description="Id or name.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """Your requests, newest first."""
    with store.read() as db:
        model_id = registry.get(db, model).id if model else None
        found, following = page(
            lambda after, limit: views.page(
                db, owner, after, limit, status=status, model_id=model_id
            ),
            lambda view: view.request.id,
            UUID,
            size=page_size,
            token=page_token,
            filters={"status": status, "model": model_id},
        )
    items = [RequestOut.of(view) for view in found]
    return tagged(request, Page[RequestOut](items=items, next_page_token=following))


@router.get("/{request_id}", response_model=RequestOut, responses=refusals(NotFound))
def show_forget_request(
    request_id: UUID, request: Request, store: TheStore, owner: Owner
) -> Response:
    """How a request stands. Poll it with `If-None-Match`; `Retry-After` says how often."""
    with store.glance() as db:
        view = views.request(db, owner, request_id)
    out = RequestOut.of(view)
    return tagged(request, out, retry_after=POLL_SECONDS.get(out.status))
