"""Files on their way in: multipart/form-data read piece by piece, in memory that does not grow."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from app.problems import MalformedBody, WrongMediaType
from models_store.errors import TooLarge
from models_store.settings import Settings

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

AT_ONCE = CapacityLimiter(16)
"""Uploads have threads of their own, so that slow ones hold up nothing but other uploads."""

FORM = "multipart/form-data"
FRAMING = 1 << 16
"""Room for the boundaries and headers of the parts."""


async def received(request: Request, settings: Settings, work: Callable[["Form"], T]) -> T:
    """Let `work` read the upload, in a thread that may wait for a slow sender."""
    media, options = parse_options_header(request.headers.get("content-type"))
    if media.decode().lower() != FORM or not options.get(b"boundary"):
        raise WrongMediaType(f"Send {FORM}: first a part `meta` (JSON), then a part `file`.")
    largest = settings.max_upload_bytes + settings.max_body_bytes + FRAMING
    request.scope["max_body"] = largest
    pieces = _pieces(request.stream())
    form = Form(pieces, options[b"boundary"], settings.max_body_bytes)
    return await to_thread.run_sync(work, form, limiter=AT_ONCE)


def _pieces(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The body, from a thread that waits for it."""

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (piece := from_thread.run(following)) is not None:
        yield piece


def parsed(model: type[M], body: bytes) -> M:
    """JSON as a model; refused as any other body would be."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        wrong = [{**e, "loc": ("body", *e["loc"])} for e in error.errors()]
        raise RequestValidationError(wrong) from None


def described(meta: type[BaseModel], body: type[BaseModel] | None = None) -> dict[str, Any]:
    """The OpenAPI request body of an upload; `body` where JSON is taken instead."""
    form = {
        "type": "object",
        "required": ["meta", "file"],
        "properties": {
            "meta": meta.model_json_schema(),
            "file": {"type": "string", "format": "binary"},
        },
    }
    content: dict[str, Any] = {FORM: {"schema": form}}
    if body is not None:
        content["application/json"] = {"schema": body.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}


class Form:
    """A form with a part `meta` before a part `file`; nothing is kept but what is being read."""

    def __init__(self, pieces: Iterator[bytes], boundary: bytes, max_meta: int) -> None:
        self._pieces = pieces
        self._max_meta = max_meta
        self._part = self._field = ""
        self._value = b""
        self._meta = bytearray()
        self._file: list[bytes] = []
        self._has_file = self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._read_field,
                "on_header_value": self._read_value,
                "on_header_end": self._end_header,
                "on_part_data": self._read_data,
                "on_end": self._end,
            },
        )

    def meta(self, model: type[M]) -> M:
        """What the part `meta` says. Raises `MalformedBody` or a validation error."""
        while not self._has_file and not self._ended:
            self._read_on()
        if not self._meta:
            raise MalformedBody("The form has no part `meta` before its part `file`.")
        return parsed(model, bytes(self._meta))

    def file(self) -> Iterator[bytes]:
        """The part `file`, piece by piece. Raises `MalformedBody` where it breaks off."""
        if not self._has_file:
            raise MalformedBody("The form has no part `file` after its part `meta`.")
        while True:
            yield from self._file
            self._file.clear()
            if self._ended:
                return
            self._read_on()

    def _read_on(self) -> None:
        try:
            piece = next(self._pieces, None)
        except ClientDisconnect:
            piece = None
        if piece is None:
            raise MalformedBody("The upload broke off; nothing of it was kept. Send it again.")
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise MalformedBody(f"The body is no multipart/form-data: {error}") from None

    # ---- what the parser calls ------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._part = ""

    def _read_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end].decode("latin-1")

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == "content-disposition":
            options: dict[bytes, Any] = parse_options_header(self._value)[1]
            self._part = options.get(b"name", b"").decode("latin-1")
            if self._part == "file" and self._has_file:
                raise MalformedBody("The form has more than one part `file`; send one.")
            self._has_file |= self._part == "file"
        self._field, self._value = "", b""

    def _read_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == "file":
            self._file.append(data[start:end])
        elif self._part == "meta" and not self._has_file:
            self._meta += data[start:end]
            if len(self._meta) > self._max_meta:
                raise TooLarge(f"`meta` is larger than {self._max_meta} bytes.")
        else:
            raise MalformedBody(f"The form has an unknown part {self._part!r} or `meta` too late.")

    def _end(self) -> None:
        self._ended = True
