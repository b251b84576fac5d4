"""Around every call: a request id, and a limit on how much body is read."""

import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Guard:
    """ASGI middleware: `scope["request_id"]`, and `scope["max_body"]` bytes of body at most.

    A path that takes uploads raises `scope["max_body"]` before it begins to read.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, read = Headers(scope=scope), 0
        claimed = headers.get("x-request-id", "")
        scope["request_id"] = claimed if HARMLESS_ID.fullmatch(claimed) else secrets.token_hex(8)
        scope["max_body"] = self.max_body
        length = headers.get("content-length", "")
        announced = int(length) if length.isdecimal() else 0

        async def bounded() -> Message:
            nonlocal read
            if announced > scope["max_body"]:
                raise _too_large(scope)
            message = await receive()
            read += len(message.get("body", b""))
            if read > scope["max_body"]:
                raise _too_large(scope)
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["X-Request-Id"] = scope["request_id"]
                answer["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, bounded, marked)


def _too_large(scope: Scope) -> HTTPException:
    return HTTPException(413, f"The body is larger than {scope['max_body']} bytes.")
