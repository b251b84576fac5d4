"""How each room is started: command lines and environments, without importing any of them."""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
"""Where `pyproject.toml` tells Alembic its folder."""


def api(host: str, port: int) -> list[str]:
    """The street door."""
    where = ["--host", host, "--port", str(port), "--no-access-log"]
    stop = ["--timeout-graceful-shutdown", "10"]
    return [
        sys.executable,
        "-m",
        "uvicorn",
        "app.main:from_environment",
        "--factory",
        *where,
        *stop,
    ]


def worker(queues: str | None = None, name: str | None = None) -> list[str]:
    """One worker of the workshop; comma-separated queues, by default all."""
    served = ["--queues", queues] if queues else []
    called = ["--name", name] if name else []
    return [sys.executable, "-m", "workers", *served, *called]


def migrate(revision: str = "head") -> list[str]:
    """Bring the schema to a revision."""
    config = str(ROOT / "pyproject.toml")
    return [sys.executable, "-m", "alembic", "--config", config, "upgrade", revision]


def become(command: list[str]) -> NoReturn:
    """Turn this process into a room, so that signals reach it without a middleman."""
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - no shell, and the command is ours
