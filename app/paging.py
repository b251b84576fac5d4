"""Keyset pages: a token says after which item the next page begins, and for which filters."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import from_json, to_json

from app.problems import BadPageToken
from app.wire import Out, Page

T = TypeVar("T")
K = TypeVar("K", int, UUID)
F = TypeVar("F", bound=Out)

MOST = 200


def page(
    fetch: Callable[[K | None, int], Sequence[T]],
    place: Callable[[T], K],
    kind: type[K],
    *,
    size: int,
    token: str | None,
    filters: Mapping[str, Any],
) -> tuple[Sequence[T], str | None]:
    """The items of a page and the token of the next.

    Args:
        fetch: items after a place (None: from the start), at most so many.
        place: where an item stands in the list, a `kind`.

    Raises:
        BadPageToken: not ours, or given out for other filters.
    """
    size, stamp = min(size, MOST), _stamp(filters)
    rows = fetch(None if token is None else _opened(token, stamp, kind), size + 1)
    if len(rows) <= size:
        return rows, None
    last = to_json([str(place(rows[size - 1])), stamp])
    return rows[:size], urlsafe_b64encode(last).decode().rstrip("=")


def newest(
    fetch: Callable[[UUID | None, int], Sequence[Any]], out: type[F], size: int, token: str | None
) -> Page[F]:
    """A page of things that have an `id`, all of them, as `fetch` orders them."""
    rows, following = page(fetch, lambda row: row.id, UUID, size=size, token=token, filters={})
    items = [out.model_validate(row) for row in rows]
    return Page(items=items, next_page_token=following)


def _stamp(filters: Mapping[str, Any]) -> str:
    return hashlib.sha256(to_json(dict(filters))).hexdigest()[:12]


def _opened(token: str, stamp: str, kind: type[K]) -> K:
    try:
        place, given_for = from_json(urlsafe_b64decode(token.encode() + b"=="))
        after: K = kind(place)
    except (ValueError, TypeError, AttributeError):
        raise BadPageToken("The page token is not one of ours.") from None
    if given_for != stamp:
        raise BadPageToken("The page token was given out for other filters.")
    return after
