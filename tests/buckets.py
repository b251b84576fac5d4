"""An object store that speaks S3, for tests: moto's server, on a free loopback port."""

import importlib.util
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest
from services import Service, not_run

BUCKET = "lethe-tests"
URL = f"s3://{BUCKET}/pixels"


class Bucket(Service):
    """A server with one bucket, which forgets everything when it ends."""

    def __init__(self) -> None:
        super().__init__("s3", None)

    def command(self) -> list[str]:
        """What to start."""
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def answers(self) -> bool:
        """Does it take connections?"""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def endpoint(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


def lead_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on `s3://` means this server."""
    where = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@contextmanager
def running() -> Iterator[Bucket]:
    """A server, for as long as it is needed."""
    if any(importlib.util.find_spec(name) is None for name in ("moto", "s3fs")):
        not_run("moto and s3fs are not installed (dependency group `dev`)")
    server = Bucket()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def emptied() -> None:
    """There is our bucket, with nothing in it, where `s3://` leads."""
    files = fsspec.filesystem("s3")
    if files.exists(BUCKET):
        files.rm(BUCKET, recursive=True)
    files.mkdir(BUCKET)
