"""Which representation a caller wants: `Accept`, RFC 9110 section 12.5.1."""

from collections.abc import Sequence
from email.message import Message

from app.problems import NotAcceptable


def choose(accept: str | None, available: Sequence[str]) -> str:
    """The media type that `Accept` likes best; the first of `available` where it does not care.

    Raises:
        NotAcceptable: none of them will do; `available` lists them.
    """
    wanted = [_range(part) for part in (accept or "*/*").split(",")]
    liked = [(_quality(media, wanted), -place) for place, media in enumerate(available)]
    quality, place = max(liked)
    if quality <= 0:
        raise NotAcceptable(
            f"It can be had as {', '.join(available)}, not as {accept!r}.",
            available=list(available),
        )
    return available[-place]


def _range(part: str) -> tuple[str, float]:
    message = Message()
    message["content-type"] = part.strip()
    quality = message.get_param("q", "1")
    try:
        return message.get_content_type(), min(max(float(str(quality)), 0.0), 1.0)
    except ValueError:
        return message.get_content_type(), 0.0


def _quality(media: str, wanted: Sequence[tuple[str, float]]) -> float:
    """That of the most specific range which covers the media type."""
    for covers in (media, f"{media.split('/', maxsplit=1)[0]}/*", "*/*"):
        for said, quality in wanted:
            if said == covers:
                return quality
    return 0.0
