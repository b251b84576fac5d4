"""The grammar of what goes over the wire, and the parameters that many paths share."""

import hashlib
import re
from typing import Annotated, Any, Generic, TypeVar

import rfc8785
from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import from_json

from app.problems import MalformedKey
from app.relay import Relay
from models_store.store import Store

T = TypeVar("T")


class In(BaseModel):
    """What comes in: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Out(BaseModel):
    """What goes out, read from rows and dataclasses by attribute."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class Page(Out, Generic[T]):
    """A page of a list; the list has ended when there is no further token."""

    items: list[T]
    next_page_token: str | None = None
    """Send it as `page_token`, with the same filters, for the next page."""


class Problem(Out):
    """RFC 9457. Some kinds carry further facts; each kind's page says what it means."""

    type: str
    """`/problems/{slug}`: a page that this service serves."""
    title: str
    status: int
    detail: str
    """One sentence about this very case."""
    instance: str
    """The path that was called."""
    request_id: str
    """Also in the header X-Request-Id, and in the log."""
    errors: list[dict[str, str]] | None = None
    """Where a body or parameter does not fit: `pointer` and `detail`."""


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """JSON that every part of the house can keep: finite numbers, whole characters, not too deep.

    Raises `ValueError`, as a validator must.
    """
    try:
        from_json(canonical(value), allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not plain JSON: {error}") from None
    return value


def canonical(value: Any) -> bytes:
    """RFC 8785: the same bytes for the same JSON, whatever its order and spacing."""
    return rfc8785.dumps(value)


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LOOKS_LIKE_AN_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("use letters, digits, `.`, `_` and `-`, beginning with a letter or digit")
    if LOOKS_LIKE_AN_ID.fullmatch(value):
        raise ValueError("a name must not look like an id")
    return value


def _writable(value: str) -> str:
    if "\0" in value:
        raise ValueError("it holds a NUL character, which no database keeps")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_name)]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_writable)]
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=500), AfterValidator(_writable)
]
Json = Annotated[dict[str, Any], AfterValidator(plain)]
Small = Annotated[int, Field(ge=0, lt=2**31)]


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _relay(request: Request) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


TheStore = Annotated[Store, Depends(_store)]
TheRelay = Annotated[Relay, Depends(_relay)]

PageSize = Annotated[int, Query(ge=1, description="Items on a page; more than 200 count as 200.")]
PageToken = Annotated[str | None, Query(description="From the page before.")]

VISIBLE = re.compile(r'"([\x20-\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')


async def _key(
    idempotency_key: Annotated[
        str | None,
        Header(description="Any unique text, best a UUID; quoted or bare. Repeats are replayed."),
    ] = None,
) -> str | None:
    if idempotency_key is None:
        return None
    match = VISIBLE.fullmatch(idempotency_key)
    if match is None:
        raise MalformedKey("An Idempotency-Key has 1 to 255 visible ASCII characters.")
    return match[1] or match[2]


IdempotencyKey = Annotated[str | None, Depends(_key)]


def tagged(
    request: Request,
    out: BaseModel,
    *,
    status: int = 200,
    retry_after: int | None = None,
    **headers: str,
) -> Response:
    """A single resource with its ETag; 304 without a body where the caller has it already."""
    body = out.model_dump_json(by_alias=True).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = {"ETag": tag, "Cache-Control": "private, no-cache", **headers}
    if retry_after is not None:
        known["Retry-After"] = str(retry_after)
    if is_known(request, tag):
        return Response(status_code=304, headers=known)
    return Response(body, status, known, media_type="application/json")


def is_known(request: Request, tag: str) -> bool:
    """Does the `If-None-Match` of a read name this tag?"""
    if request.method != "GET":
        return False
    sent = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    return sent == ["*"] or tag in [each.removeprefix("W/") for each in sent]
