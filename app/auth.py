"""Who is calling: the key is the owner; without keys, only this machine is."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from app.problems import Unauthenticated

HASHED = "sha256:"
LOCAL = "local"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

bearer = HTTPBearer(auto_error=False, description="One of the keys in LETHE_API_KEYS.")


@dataclass(frozen=True, slots=True)
class Keys:
    """The digests of the keys that open the door; none in the embedded mode."""

    digests: tuple[bytes, ...]

    @classmethod
    def of(cls, keys: Sequence[SecretStr]) -> "Keys":
        """From keys in clear or as `sha256:<64 hex>`. Raises `ValueError` for a bad digest."""
        return cls(tuple(_digest(key.get_secret_value()) for key in keys))

    def owner(self, key: str) -> str | None:
        """The name of this key's holder, None if it opens nothing; takes the same time always."""
        digest = hashlib.sha256(key.encode()).digest()
        known = [hmac.compare_digest(digest, each) for each in self.digests]
        return digest.hex()[:16] if any(known) else None


def _digest(key: str) -> bytes:
    if not key.startswith(HASHED):
        return hashlib.sha256(key.encode()).digest()
    digest = bytes.fromhex(key.removeprefix(HASHED))
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("An entry of LETHE_API_KEYS is no sha256:<64 hex digits>.")
    return digest


async def let_in(
    request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Find out who calls, once for each call. Raises `Unauthenticated`."""
    keys: Keys = request.app.state.keys
    if keys.digests:
        name = keys.owner(sent.credentials) if sent else None
    else:
        _refuse_strangers(request)
        name = LOCAL
    if name is None:
        raise Unauthenticated("Send `Authorization: Bearer <key>` with a key that is known here.")
    request.scope["owner"] = name


async def _owner(request: Request) -> str:
    name: str = request.scope["owner"]
    return name


def _refuse_strangers(request: Request) -> None:
    """Without keys, only programs of this machine, and no web page of another site, may call."""
    host = request.client.host if request.client else "127.0.0.1"
    origin = request.headers.get("origin")
    names = [request.url.hostname, urlsplit(origin).hostname if origin else "localhost"]
    if not ip_address(host).is_loopback or any(name not in LOOPBACK_NAMES for name in names):
        raise Unauthenticated(
            f"This service has no keys, so it answers only on this machine, not {host} at "
            f"{request.url.hostname}: set LETHE_API_KEYS to open it."
        )


Owner = Annotated[str, Depends(_owner)]
"""Who calls, behind a router that has let them in."""
