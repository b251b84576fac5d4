"""A caller who keeps a pace: calls go out on time, however late the answers are."""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

BARE = "import fastapi\napp = fastapi.FastAPI()\napp.get('/')(lambda: {'status': 'ready'})\n"
CONNECTIONS = 64
CONCURRENT = 16
"""Connections of a caller who asks as fast as answers come."""


@dataclass
class Answers:
    """What came back: milliseconds from the moment each call was due, and what was no success."""

    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0

    def at(self, share: float) -> float:
        """The time within which this share of the calls was answered."""
        ranked = sorted(self.milliseconds)
        return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))], 2)

    def row(self) -> dict[str, Any]:
        """As result files have it."""
        return {
            "calls": len(self.milliseconds),
            "errors": self.errors,
            "p50_ms": self.at(0.5),
            "p99_ms": self.at(0.99),
        }


@dataclass(frozen=True)
class Call:
    """One call, and the status that it should be answered with."""

    method: str
    path: str
    status: int = 200
    more: dict[str, Any] = field(default_factory=dict)


def paced(
    url: str, headers: dict[str, str], call: Callable[[int], Call], rate: float, seconds: float
) -> Answers:
    """Send call 0, 1, 2 ... at `rate` a second, each at its time; the first second does not count."""
    return asyncio.run(_paced(url, headers, call, rate, seconds))


async def _paced(
    url: str, headers: dict[str, str], call: Callable[[int], Call], rate: float, seconds: float
) -> Answers:
    warm, answers, count = Answers(), Answers(), round(rate * (seconds + 1))
    async with _client(url, headers) as client, asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(count):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            noted = answers if number >= rate else warm
            group.create_task(_send(client, call(number), due, noted))
    return answers


def together(url: str, headers: dict[str, str], calls: Sequence[Call]) -> Answers:
    """Send all at once."""
    return asyncio.run(_together(url, headers, calls))


async def _together(url: str, headers: dict[str, str], calls: Sequence[Call]) -> Answers:
    answers = Answers()
    async with _client(url, headers) as client, asyncio.TaskGroup() as group:
        due = time.perf_counter()
        for call in calls:
            group.create_task(_send(client, call, due, answers))
    return answers


def _client(url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    limits = httpx.Limits(
        max_connections=CONNECTIONS,
        max_keepalive_connections=CONNECTIONS,
        keepalive_expiry=2,  # the server closes after 5: whoever uses one then is cut off
    )
    return httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=30)


async def _send(client: httpx.AsyncClient, call: Call, due: float, answers: Answers) -> None:
    try:
        answer = await client.request(call.method, call.path, **call.more)
    except httpx.TransportError:
        answers.errors += 1
        return
    answers.milliseconds.append(1000 * (time.perf_counter() - due))
    answers.errors += answer.status_code != call.status


def flat_out(
    url: str, headers: dict[str, str], seconds: float, script: Path | None = None
) -> float | None:
    """Answers a second to wrk, which asks as fast as they come; None where there is no wrk.

    Args:
        script: in Lua; makes each call, where it is no plain GET.
    """
    if shutil.which("wrk") is None:
        return None
    sent = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    by = ["-s", str(script)] if script else []
    command = ["wrk", "-t1", f"-c{CONCURRENT}", f"-d{seconds:.0f}s", *by, *sent, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or "Non-2xx" in said:
        raise RuntimeError(f"wrk did not get what it asked for:\n{said}")
    return float(found[1])


@contextmanager
def bare(port: int) -> Iterator[str]:
    """A FastAPI application that does nothing, served in the same way."""
    with tempfile.TemporaryDirectory(prefix="lethe-bare-") as folder:
        (Path(folder) / "bare.py").write_text(BARE)
        where = ["--app-dir", folder, "--port", str(port), "--no-access-log"]
        command = [sys.executable, "-m", "uvicorn", "bare:app", *where]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}/"
        try:
            while not _answers(url):
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
