"""Lethe over HTTP: typed verbs, patience with a busy service, and one exception for each no."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx

Json = dict[str, Any]

BUSY = frozenset({429, 502, 503, 504})
"""Answers that a later try may change."""
ENDED = frozenset({"succeeded", "failed", "cancelled", "denied"})
"""Where the life of a request or a job ends."""
CHUNK_BYTES = 1 << 20
FIRST_PATIENCE_SECONDS = 2.0
SHOWN = 5
"""Errors of a body that are told; the first is in the detail already."""


class Problem(Exception):
    """The service said no, in the words of RFC 9457.

    `exit_code` is what the command line ends with: 4 not found, 3 refused, 6 the service is ill.
    """

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(_sentence(status, body))
        self.status = status
        self.body = body

    @property
    def slug(self) -> str:
        """The stable name of the problem, such as `unknown-samples`."""
        return str(self.body.get("type", "")).rpartition("/")[2]

    @property
    def exit_code(self) -> int:
        """See the class."""
        if self.status == httpx.codes.NOT_FOUND:
            return 4
        return 6 if self.status >= httpx.codes.INTERNAL_SERVER_ERROR else 3


class Unreachable(Exception):
    """Nobody answered at the address within the patience."""

    exit_code = 6


class Client:
    """A connection to one service. Use as a context manager.

    A GET, and whatever carries an idempotency key, is tried again for up to `patience` seconds
    while the service is away or busy, in the pace that its `Retry-After` asks for. A service that
    has never answered is given less time, since it may well not be there.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        patience: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(30.0, connect=5.0, write=120.0)
        self.url = url.rstrip("/")
        self.patience = patience
        self._met = False
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Json:
        """One resource."""
        return _json(self._send("GET", path, params=_given(params)))

    def text(self, path: str, media_type: str, **params: Any) -> bytes:
        """A resource in another form, such as `text/html`."""
        headers = {"Accept": media_type}
        return self._send("GET", path, params=_given(params), headers=headers).content

    def items(self, path: str, **params: Any) -> Iterator[Json]:
        """Every item of a list, page by page."""
        token: str | None = None
        while True:
            page = self.get(path, **params, page_token=token)
            yield from page["items"]
            token = page.get("next_page_token")
            if token is None:
                return

    def post(self, path: str, body: Json | None = None, **params: Any) -> Json:
        """Ask for something; once, since a second try might ask twice."""
        return _json(self._send("POST", path, json=body, params=_given(params)))

    def put(self, path: str, body: Json) -> Json:
        """Replace a resource."""
        return _json(self._send("PUT", path, json=body))

    def delete(self, path: str) -> Json:
        """Take something back; the resource as it then stands."""
        return _json(self._send("DELETE", path))

    def forget(self, body: Json, *, dry_run: bool = False, key: str | None = None) -> Json:
        """File a forget request; it is filed once, however often the network fails.

        Args:
            body: `model`, `target`, and `lane` or `method` with `params`.
            dry_run: say what would happen, and change nothing.
            key: the idempotency key; by default a new one.
        """
        headers = {"Idempotency-Key": key or str(uuid4())}
        params = _given({"dry_run": dry_run or None})
        return _json(
            self._send("POST", "/forget-requests", json=body, params=params, headers=headers)
        )

    def upload(self, path: str, file: Path, meta: Json) -> Json:
        """Stream a file, described by `meta`, without reading it into memory."""
        form = {"meta": json.dumps(meta)}
        with file.open("rb") as source:
            parts = {"file": (file.name, source, "application/octet-stream")}
            return _json(self._send("POST", path, data=form, files=parts))

    def download(self, path: str, target: Path) -> None:
        """Stream bytes into `target`, which appears only when it is complete."""
        part = target.with_name(f"{target.name}.part")
        try:
            with self._http.stream("GET", path) as response, part.open("wb") as sink:
                _refuse(response)
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    sink.write(chunk)
            part.replace(target)
        except httpx.TransportError as error:
            raise self._gone(error) from error
        finally:
            part.unlink(missing_ok=True)

    def follow(self, path: str, *, every: float = 0.5) -> Iterator[Json]:
        """A request or a job as it stands at each look, until its life has ended."""
        etag = ""
        state: Json = {}
        while state.get("status") not in ENDED:
            if state:
                time.sleep(every)
            headers = {"If-None-Match": etag} if etag else {}
            response = self._send("GET", path, headers=headers)
            if response.status_code != httpx.codes.NOT_MODIFIED:
                etag = response.headers.get("ETag", "")
                state = _json(response)
            yield state

    def _send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        repeatable = method in {"GET", "PUT"} or "Idempotency-Key" in parts.get("headers", {})
        patience = self.patience if self._met else min(self.patience, FIRST_PATIENCE_SECONDS)
        deadline = time.monotonic() + (patience if repeatable else 0.0)
        wait = 0.2
        while True:
            response = self._once(lambda: self._http.request(method, path, **parts), deadline)
            if response is not None:
                self._met = True
                wait = _asked_to_wait(response, wait)
                last = time.monotonic() + wait > deadline
                if response.status_code not in BUSY or last:
                    _refuse(response)
                    return response
            time.sleep(wait)
            wait = min(wait * 2, 5.0)

    def _once(self, send: Callable[[], httpx.Response], deadline: float) -> httpx.Response | None:
        try:
            return send()
        except httpx.TransportError as error:
            if time.monotonic() >= deadline:
                raise self._gone(error) from error
            return None

    def _gone(self, error: httpx.TransportError) -> Unreachable:
        return Unreachable(
            f"Nobody answers at {self.url} ({error}). Is the service up? "
            "`lethe up` starts one here; LETHE_URL says where another is."
        )


def _refuse(response: httpx.Response) -> None:
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return
    response.read()
    try:
        body = response.json()
    except ValueError:
        body = {}
    raise Problem(response.status_code, body if isinstance(body, dict) else {})


def _sentence(status: int, body: Json) -> str:
    said = str(body.get("detail") or body.get("title") or f"The service answered {status}.")
    errors = body.get("errors")
    if not isinstance(errors, list):
        return said
    reasons = [f"{error['pointer']}: {error['detail']}." for error in errors[1:SHOWN]]
    return " ".join([said, *reasons])


def _asked_to_wait(response: httpx.Response, otherwise: float) -> float:
    """Seconds, from `Retry-After` as a number or a date."""
    asked = response.headers.get("Retry-After")
    if asked is None:
        return otherwise
    if asked.isdecimal():
        return float(asked)
    return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())


def _json(response: httpx.Response) -> Json:
    body = response.json()
    assert isinstance(body, dict), f"{response.url} did not answer with an object"
    return body


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
