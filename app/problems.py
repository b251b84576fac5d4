"""Every way in which the door says no: RFC 9457 problems, from one table."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.problem_pages import PROBLEMS
from models_store.errors import Refusal

log = logging.getLogger("lethe.door")

MEDIA = "application/problem+json"
SHOWN = 50


class Unauthenticated(Refusal):
    """No valid key came with the call."""

    slug = "unauthenticated"


class BadPageToken(Refusal):
    """The page token is not one that this list gave out for these filters."""

    slug = "bad-page-token"


class MalformedKey(Refusal):
    """The Idempotency-Key is empty, too long, or has characters beyond visible ASCII."""

    slug = "malformed-key"


class MalformedBody(Refusal):
    """The body is not what its content type says, or it broke off."""

    slug = "malformed-body"


class NotAcceptable(Refusal):
    """The resource has no representation of a kind that `Accept` asks for."""

    slug = "not-acceptable"


class BadRange(Refusal):
    """The range asked for lies beyond the end."""

    slug = "range-not-satisfiable"


class WrongMediaType(Refusal):
    """The body came in a content type that this path does not read."""

    slug = "unsupported-media-type"


BY_STATUS: dict[int, str] = {
    400: "malformed-body",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
}
"""What the framework's own refusals are called."""

RETRY_AFTER: dict[str, int] = {"database-unavailable": 2, "not-ready": 5, "not-finished": 2}
"""Seconds after which it makes sense to try again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that says no."""

    slug: str
    detail: str
    facts: Mapping[str, Any]
    headers: Mapping[str, str]

    media: ClassVar[str] = MEDIA

    def answer(self, request: Request) -> JSONResponse:
        """Facts come first, so that none of them can pose as the status or the type."""
        page = PROBLEMS[self.slug]
        body = {
            **jsonable_encoder(self.facts),
            "type": f"/problems/{self.slug}",
            "title": page.title,
            "status": page.status,
            "detail": self.detail,
            "instance": request.url.path,
            "request_id": request.scope.get("request_id"),
        }
        headers = dict(self.headers)
        if self.slug in RETRY_AFTER:
            headers["Retry-After"] = str(RETRY_AFTER[self.slug])
        if page.status == 413:
            headers["Connection"] = "close"  # or the server reads on to the end, and there is none
        if page.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(body, page.status, headers, media_type=MEDIA)


async def refused(request: Request, refusal: Exception) -> JSONResponse:
    """The store, or the door itself, says no."""
    assert isinstance(refusal, Refusal)
    facts = dict(refusal.facts)
    return Problem(refusal.slug, refusal.detail, facts, facts.pop("headers", {})).answer(request)


async def invalid(request: Request, error: Exception) -> JSONResponse:
    """What came in does not have the shape that the API documents. Values are not echoed."""
    assert isinstance(error, RequestValidationError)
    errors = list(error.errors())
    if errors and errors[0]["type"] == "json_invalid":
        why = errors[0].get("ctx", {}).get("error", "")
        return Problem("malformed-body", f"The body is not JSON: {why}.", {}, {}).answer(request)
    if isinstance(error.body, bytes) and not request.headers.get("content-type", "").startswith(
        "application/json"
    ):
        detail = "Send the body as application/json."
        return Problem("unsupported-media-type", detail, {}, {}).answer(request)
    shown = [{"pointer": _pointer(e["loc"]), "detail": e["msg"]} for e in errors[:SHOWN]]
    detail = f"{shown[0]['pointer'] or 'The body'}: {shown[0]['detail']}."
    facts = {"errors": shown, "error_count": len(errors)}
    return Problem("validation", detail, facts, {}).answer(request)


def _pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer into the body; for a parameter, `query`, `path` or `header` and its name."""
    steps = location[1:] if location and location[0] == "body" else location
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


async def http(request: Request, error: Exception) -> JSONResponse:
    """The framework says no: no such path, no such method."""
    assert isinstance(error, HTTPException)
    slug = BY_STATUS.get(error.status_code, "internal")
    detail = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.method} is not spoken at {request.url.path}.",
        400: "The body cannot be read as JSON.",
    }.get(error.status_code, str(error.detail))
    return Problem(slug, detail, {}, error.headers or {}).answer(request)


async def broken(request: Request, error: Exception) -> JSONResponse:
    """A mistake of ours; the log has it under the request id."""
    log.error("request %s broke", request.scope["request_id"], exc_info=error)
    detail = "Something went wrong on our side; the log has the details under the request id."
    return Problem("internal", detail, {}, {}).answer(request)


def refusals(*kinds: type[Refusal] | str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses for these refusals: one entry a status, naming every problem."""
    named: dict[int, list[str]] = {}
    for slug in [kind if isinstance(kind, str) else kind.slug for kind in kinds]:
        named.setdefault(PROBLEMS[slug].status, []).append(slug)
    return {
        status: {
            "description": ", ".join(f"[{slug}](/problems/{slug})" for slug in slugs),
            "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, slugs in named.items()
    }
