"""Ranges that a download can serve, RFC 9110 section 14: others are refused or ignored."""

import re

from fastapi import Request

from app.problems import BadRange

SINGLE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))")


def keep_satisfiable(request: Request, size: int) -> None:
    """Take a `Range` header that is no single range of bytes out of the call: all is sent then.

    Raises:
        BadRange: it begins beyond the last of `size` bytes.
    """
    match = SINGLE.fullmatch(request.headers.get("range", ""))
    if match is None or (match[2] and int(match[2]) < int(match[1])):
        request.scope["headers"] = [
            header for header in request.scope["headers"] if header[0] != b"range"
        ]
        return
    begins_beyond = match[1] is not None and int(match[1]) >= size
    if begins_beyond or match[3] == "0":
        raise BadRange(f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
