"""The embedded service: one folder, an API and a worker as child processes, on loopback only."""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from lethe import rooms

LOOPBACK = "127.0.0.1"
LONGEST_DELAY_SECONDS = 30.0
STEADY_AFTER_SECONDS = 60.0
"""A child that lived this long is started again at once."""
STOP_WITHIN_SECONDS = 45.0
"""Longer than a worker may take to save its work."""
READY_WITHIN_SECONDS = 60.0
TICK_SECONDS = 0.2
PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """The service cannot be started here; the message says why and what to do."""

    exit_code = 6


@dataclass
class Child:
    """A process that is started again whenever it ends."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    due: float = field(default=0.0)
    """When to start it (again), on the monotonic clock."""

    def start(self) -> None:
        """Start it; on Linux it also ends when we end, however that happens."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,  # Ctrl-C is for the supervisor, who stops them in order
            preexec_fn=_ends_with_parent(),  # noqa: PLW1509 - only calls prctl
        )

    def look(self, now: float) -> str | None:
        """Start it if it is due; say what happened, if anything."""
        if self.process is None:
            if now >= self.due:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.failures = 0 if now - self.started > STEADY_AFTER_SECONDS else self.failures + 1
        delay = min(LONGEST_DELAY_SECONDS, 0.5 * 2**self.failures)
        self.process, self.due = None, now + delay
        return f"The {self.name} ended with code {code}; it is started again in {delay:.0f} s."

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group of a living child."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def end(self, patience: float) -> None:
        """Wait so many seconds for it to end, then kill it."""
        if self.process is not None:
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.process.wait()
        self.log.close()


@dataclass
class Supervisor:
    """Keeps its children alive, in a thread of its own, until it is stopped."""

    children: Sequence[Child]
    say: Callable[[str], None]
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def tend(self) -> None:
        """One look at every child."""
        for child in self.children:
            news = child.look(time.monotonic())
            if news:
                self.say(news)

    def start(self) -> None:
        """Tend them from now on."""
        self.thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Ask all to end, wait, and kill what does not."""
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN_SECONDS
        for child in self.children:
            child.end(max(0.1, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self.stopping.wait(TICK_SECONDS):
            self.tend()


@contextmanager
def service(home: Path, port: int, say: Callable[[str], None]) -> Iterator[None]:
    """A running embedded service: ready inside the block, stopped after it.

    SIGTERM becomes `KeyboardInterrupt`, as Ctrl-C is; so call it from the main thread.

    Raises:
        CannotStart: the folder is in use, the port is taken, the environment names a server's
            database, the schema cannot be migrated, or the API does not become ready.
    """
    environment = _environment(home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(home):
        _free(port)
        _migrate(environment)
        commands = {"API": rooms.api(LOOPBACK, port), "worker": rooms.worker()}
        logs = {name: home / f"{name.lower()}.log" for name in commands}
        children = [
            Child(name, command, environment, logs[name].open("wb"))
            for name, command in commands.items()
        ]
        supervisor = Supervisor(children, say)
        try:
            supervisor.start()
            _wait_ready(port, logs["API"])
            yield
        finally:
            supervisor.stop()


def until_interrupted() -> None:
    """Nothing more to do but to be there."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _environment(home: Path) -> dict[str, str]:
    for name in ("LETHE_DATABASE_URL", "LETHE_BROKER_URL"):
        if os.environ.get(name):
            raise CannotStart(
                f"{name} is set, and `lethe up` is for one machine without services. Unset it, "
                "or start the rooms one by one with `lethe migrate`, `lethe api`, `lethe worker`."
            )
    return os.environ | {"LETHE_HOME": str(home.resolve())}


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"Another `lethe up` already runs in {home}.") from error
        yield


def _free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {LOOPBACK} is taken; choose another with --port."
            ) from error


def _migrate(environment: dict[str, str]) -> None:
    done = subprocess.run(
        rooms.migrate(), env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"The database cannot be migrated:\n{done.stderr.strip()}")


def _wait_ready(port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not _answers(port):
        if time.monotonic() > deadline:
            raise CannotStart(f"The API did not become ready; {log} says why.")
        time.sleep(TICK_SECONDS)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/readyz", timeout=2.0).is_success
    except httpx.TransportError:
        return False


def _ends_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
