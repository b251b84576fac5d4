"""A caller who keeps a pace: calls go out on time, however late the answers are."""

import asyncio
import json
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
from urllib.parse import urlsplit

import httpx
from httptools import HttpResponseParser

BARE = "import fastapi\napp = fastapi.FastAPI()\napp.get('/')(lambda: {'status': 'ready'})\n"
WARM = 5
"""Seconds of a caller's slow beginning."""
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
    """Send call 0, 1, 2 ... at `rate` a second, each at its time.

    Before those that count come some at a quarter of the pace, and a second at the whole.
    """
    return asyncio.run(_paced(url, headers, call, rate, seconds))


async def _paced(
    url: str, headers: dict[str, str], call: Callable[[int], Call], rate: float, seconds: float
) -> Answers:
    caller, warm, answers = Caller(url, headers), Answers(), Answers()
    for pace, count, noted in (
        (rate / 4, round(WARM * rate / 4), warm),
        (rate, round(rate), warm),
        (rate, round(rate * seconds), answers),
    ):
        first = len(warm.milliseconds) + warm.errors
        async with asyncio.TaskGroup() as group:
            began = time.perf_counter()
            for number in range(count):
                due = began + number / pace
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(caller.ask(call(first + number), due, noted))
    caller.close()
    return answers


class Caller:
    """Asks over kept connections, at a tenth of what a full client costs: the cores are shared."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.where = urlsplit(url)
        self.headers = {**headers, "Host": self.where.netloc}
        self.idle: list[_Connection] = []

    async def ask(self, call: Call, due: float, answers: Answers) -> None:
        """Send one call and note the answer."""
        try:
            connection = await self._connection()
            status = await connection.answer(self._written(call))
        except OSError:
            answers.errors += 1
            return
        self.idle.append(connection)
        answers.milliseconds.append(1000 * (time.perf_counter() - due))
        answers.errors += status != call.status

    def close(self) -> None:
        """Let go of all connections."""
        for connection in self.idle:
            connection.transport.close()

    async def _connection(self) -> "_Connection":
        while self.idle:
            kept = self.idle.pop()
            if not kept.transport.is_closing():
                return kept
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(_Connection, self.where.hostname, self.where.port)
        return made[1]

    def _written(self, call: Call) -> bytes:
        told, body = call.more.get("headers", {}), call.more.get("content", b"")
        if "json" in call.more:
            told, body = (
                told | {"Content-Type": "application/json"},
                json.dumps(call.more["json"]).encode(),
            )
        sent = self.headers | told | {"Content-Length": str(len(body))}
        lines = [f"{call.method} {call.path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection(asyncio.Protocol):
    """One call at a time."""

    transport: asyncio.Transport
    status: asyncio.Future[int]

    def answer(self, written: bytes) -> asyncio.Future[int]:
        """The status of the answer to a call."""
        self.status = asyncio.get_running_loop().create_future()
        self.parser = HttpResponseParser(self)
        self.transport.write(written)
        return self.status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.status.set_result(self.parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "status") and not self.status.done():
            self.status.set_exception(exc or ConnectionResetError("the server hung up"))


def together(url: str, headers: dict[str, str], calls: Sequence[Call]) -> Answers:
    """Send all at once."""
    return asyncio.run(_together(url, headers, calls))


async def _together(url: str, headers: dict[str, str], calls: Sequence[Call]) -> Answers:
    caller, answers = Caller(url, headers), Answers()
    async with asyncio.TaskGroup() as group:
        due = time.perf_counter()
        for call in calls:
            group.create_task(caller.ask(call, due, answers))
    caller.close()
    return answers


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
def bare(port: int, processes: int) -> Iterator[str]:
    """A FastAPI application that does nothing, served in the same way."""
    with tempfile.TemporaryDirectory(prefix="lethe-bare-") as folder:
        (Path(folder) / "bare.py").write_text(BARE)
        where = ["--app-dir", folder, "--port", str(port), "--no-access-log"]
        where += ["--workers", str(processes)]
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
