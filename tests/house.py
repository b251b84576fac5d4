"""A whole house of real processes: uvicorn, workers, over sockets, in either mode."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from digits import digits_npz
from services import dies_with_parent, free_port

from lethe import rooms

ROOT = Path(__file__).parents[1]
QUICK = {
    "LETHE_LEASE": "PT5S",
    "LETHE_BEAT_EVERY": "PT0.5S",
    "LETHE_REAP_EVERY": "PT0.5S",
    "LETHE_RELAY_EVERY": "PT0.2S",
    "LETHE_RING_AGAIN_AFTER": "PT3S",
    "LETHE_LEADER_LEASE": "PT2S",
    "LETHE_CHECKPOINT_EVERY": "PT0S",
    "LETHE_CHECKPOINT_GRACE": "PT5S",
}
"""A shortened timing profile; production's is in `models_store.settings`."""
KEY = "test-key"
PATIENCE = 240.0
"""Seconds: as long as anything is waited for. A busy machine takes its time."""


@dataclass
class Room:
    """One process, its log, and ways to treat it badly."""

    process: subprocess.Popen[bytes]
    log: Path

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """A signal to the process, or to it and its children."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9 of the process and all its children."""
        if self.process.poll() is None:
            self.send(signal.SIGKILL, group=True)
        self.process.wait(10)

    def stop(self, within: float = PATIENCE) -> int:
        """Ask it to stop, and wait; its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(within)

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")


@dataclass
class House:
    """Environment, folder and processes; use `open_house`."""

    folder: Path
    environment: dict[str, str]
    port: int
    rooms: list[Room] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=30,
        )

    def migrate(self) -> None:
        """Bring the database to our tables."""
        subprocess.run(
            rooms.migrate(), env=self.environment, cwd=self.folder, check=True, capture_output=True
        )

    def open_api(self, port: int | None = None, **more: str) -> Room:
        """Start uvicorn and wait until it answers."""
        room = self._start(
            rooms.api("127.0.0.1", port or self.port), f"api-{next(self._numbers)}", more
        )
        url = f"http://127.0.0.1:{port or self.port}/livez"
        wait(lambda: _answers(url), PATIENCE, lambda: room.said)
        return room

    def open_worker(self, *, queues: str | None = None, warm: bool = True, **more: str) -> Room:
        """Start a worker; wait until it is ready, unless told otherwise."""
        name = f"worker-{next(self._numbers)}"
        room = self._start(rooms.worker(queues, name), name, more)
        if warm:
            wait(lambda: _lives(room) and name in self.workers(), PATIENCE, lambda: room.said)
        return room

    def workers(self) -> list[str]:
        """Who is ready to work."""
        return [one["name"] for one in self.get("/workers")["items"] if one["state"] == "ready"]

    def _start(self, command: list[str], name: str, more: dict[str, str]) -> Room:
        log = self.folder / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment | more, stdin=subprocess.DEVNULL,
                stdout=file, stderr=file, start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )  # fmt: skip
        room = Room(process, log)
        self.rooms.append(room)
        return room

    def close(self) -> None:
        """Kill what is left."""
        self.client.close()
        for room in self.rooms:
            room.kill()

    # ---- what a user does ----

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, status: int, **arguments: Any) -> Any:
        """The JSON of a POST that must be answered with this status."""
        answer = self.client.post(path, **arguments)
        assert answer.status_code == status, answer.text
        return answer.json()

    def finished_job(self, job_id: str, within: float = PATIENCE) -> Any:
        """The job, once it has ended."""
        return self._ended(f"/jobs/{job_id}", within)

    def finished(self, request_id: str, within: float = PATIENCE) -> Any:
        """The forget request, once it has ended."""
        return self._ended(f"/forget-requests/{request_id}", within)

    def _ended(self, path: str, within: float) -> Any:
        ended = ("succeeded", "failed", "cancelled", "denied")
        seen: dict[str, Any] = {}

        def look() -> bool:
            seen.update(self.get(path))
            return seen["status"] in ended

        wait(look, within, lambda: f"{seen}\n" + "\n".join(room.said for room in self.rooms))
        return seen

    def ask(self, target: dict[str, Any], **more: Any) -> Any:
        """File a forget request on the model `digits`."""
        return self.post(
            "/forget-requests", 202, json={"model": "digits", "target": target, **more}
        )


def wait(until: Callable[[], bool], within: float, tell: Callable[[], str]) -> None:
    """Poll until it is so; fail with what `tell` says after `within` seconds."""
    deadline = time.monotonic() + within
    while not until():
        assert time.monotonic() < deadline, f"not within {within} s:\n{tell()[-6000:]}"
        time.sleep(0.05)


def _lives(room: Room) -> bool:
    assert room.process.poll() is None, f"it ended:\n{room.said[-6000:]}"
    return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of a house in this folder, with quick timings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LETHE_")}
    return (
        clean
        | QUICK
        | {
            "LETHE_HOME": str(folder / "home"),
            "LETHE_API_KEYS": KEY,
            "LETHE_IMPORT_ROOTS": str(folder),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
    )


@contextmanager
def open_house(folder: Path, *, migrated: bool = False, **environment: str) -> Iterator[House]:
    """A migrated house without processes yet; whatever was started is killed at the end.

    Args:
        migrated: its database has our tables already.
    """
    house = House(folder, surroundings(folder) | environment, free_port())
    try:
        if not migrated:
            house.migrate()
        yield house
    finally:
        house.close()


def furnish(house: House, epochs: int = 8) -> None:
    """Import digits and train a small net on them: the model `digits`, version 1."""
    path = digits_npz(house.folder)
    started = house.post("/datasets", 202, json={"name": "digits", "path": str(path)})
    assert house.finished_job(started["job"])["status"] == "succeeded"
    house.post(
        "/models", 201,
        json={"name": "digits", "architecture": "small_cnn", "parameters": {"filters": 16},
              "dataset": "digits", "mean": [0.5], "std": [0.5]},
    )  # fmt: skip
    trained = house.post(
        "/models/digits/train", 202, json={"recipe": {"epochs": epochs, "batch_size": 64}}
    )
    job = house.finished_job(trained["id"])
    assert job["status"] == "succeeded", job
