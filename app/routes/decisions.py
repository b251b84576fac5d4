"""`/forget-requests/{id}/...`: what people decide about a request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import StringConstraints

from app.auth import Owner
from app.openapi import follow
from app.problems import refusals
from app.routes.shapes import POLL_SECONDS, RequestOut
from app.wire import In, Text, TheRelay, TheStore, tagged
from models_store import decisions, desk, requests, views
from models_store.errors import InvalidTransition, NotFound, NotReady
from models_store.tables import ForgetRequest

router = APIRouter(
    prefix="/forget-requests/{request_id}",
    tags=["forget requests"],
    responses=refusals(NotFound, InvalidTransition),
)
FOLLOW = follow("show_forget_request", "request_id")


@dataclass
class Case:
    """A request about which its owner decides something."""

    request_id: UUID
    request: Request
    store: TheStore
    relay: TheRelay
    owner: Owner

    def decide(self, act: Callable[[Any, ForgetRequest], object], status: int = 200) -> Response:
        """Act in one transaction; 202 in place of `status` where the act returns a job to stop."""
        with self.store.begin() as db:
            found = requests.get(db, self.owner, self.request_id)
            stopping = act(db, found)
            left = desk.leftovers(db, found.job_id) if found.job_id else []
            out = RequestOut.of(views.request(db, self.owner, self.request_id))
        for digest in left:
            self.store.blobs.drop(digest)
        self.relay.wake()
        status = 202 if stopping is not None else status
        return tagged(self.request, out, status=status, retry_after=POLL_SECONDS.get(out.status))


TheCase = Annotated[Case, Depends(Case)]


class DenyIn(In):
    """Why a request is refused: Art. 12(4) GDPR asks for the reason."""

    reason: Literal[
        "identity_not_verified",
        "no_personal_data",
        "excessive",
        "legal_obligation",
        "public_interest",
        "legal_claims",
        "other",
    ]
    detail: Text
    """What the person is told."""


class ExtendIn(In):
    """Why the due date is put off: Art. 12(3) GDPR asks for the reason."""

    reason: Annotated[Text, StringConstraints(min_length=1)]


@router.post("/cancel", response_model=RequestOut, responses=FOLLOW)
def cancel_forget_request(case: TheCase) -> Response:
    """Withdraw a request: 200 when that is done, 202 when its job stops at the next step."""
    return case.decide(lambda db, found: decisions.cancel(db, found, case.owner))


@router.post(
    "/retry",
    status_code=202,
    response_model=RequestOut,
    responses={**FOLLOW, **refusals(InvalidTransition, NotReady)},
)
def retry_forget_request(case: TheCase) -> Response:
    """Queue a failed request again."""
    return case.decide(lambda db, found: decisions.retry(db, found, case.owner), 202)


@router.post("/approve", response_model=RequestOut, responses=refusals(InvalidTransition, NotReady))
def approve_forget_request(case: TheCase) -> Response:
    """Queue a request that awaits approval."""
    return case.decide(lambda db, found: decisions.approve(db, found, case.owner))


@router.post("/deny", response_model=RequestOut)
def deny_forget_request(case: TheCase, body: DenyIn) -> Response:
    """Refuse a request that awaits approval."""
    return case.decide(
        lambda db, found: decisions.deny(db, found, body.reason, body.detail, case.owner)
    )


@router.post("/extend", response_model=RequestOut)
def extend_forget_request(case: TheCase, body: ExtendIn) -> Response:
    """Put off the due date, once, before it has come."""
    return case.decide(lambda db, found: decisions.extend(db, found, body.reason, case.owner))
