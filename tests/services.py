"""Real PostgreSQL and Redis for the tests: on free loopback ports, in folders of their own."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE_SECONDS = 120


def not_run(reason: str) -> NoReturn:
    """Leave a test out for want of a program: listed at the end, or a failure where CI asks."""
    if os.environ.get("LETHE_TESTS_LEAVE_NOTHING_OUT"):
        pytest.fail(reason)
    pytest.skip(f"NOT RUN: {reason}")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dies_with_parent(last_words: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: on Linux the child gets this signal when its parent ends, however."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def promise() -> None:
        if libc is not None:
            libc.prctl(1, int(last_words))  # PR_SET_PDEATHSIG

    return promise


class Service(ABC):
    """A server process that a test may stop, kill, freeze and start again on the same data."""

    stop_signal = signal.SIGTERM
    last_words = signal.SIGKILL

    def __init__(self, name: str, user: str | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"lethe-{name}-"))
        self.log = self.folder / "log"
        self.port = free_port()
        self.user = user
        self.process: subprocess.Popen[bytes] | None = None
        if user is not None:
            shutil.chown(self.folder, user)

    @abstractmethod
    def command(self) -> list[str]:
        """What to start."""

    @abstractmethod
    def answers(self) -> bool:
        """Does it take connections?"""

    def start(self) -> None:
        """Start, and return when it answers. Raises RuntimeError with the log if it does not."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=dies_with_parent(self.last_words),
                user=self.user,
                cwd=self.folder,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command()[0]} did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.process is not None:
            self.resume()
            self.process.send_signal(self.stop_signal)
            self._ended()

    def kill(self) -> None:
        """SIGKILL it and all its children: power gone."""
        self._signal(signal.SIGKILL)
        self._ended()

    def restart(self) -> None:
        """Stop, then start on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections hang instead of being refused."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.stop()
        shutil.rmtree(self.folder)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        server = psutil.Process(self.process.pid)
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # a connection's process may just have ended
                process.send_signal(number)

    def _ended(self) -> None:
        if self.process is not None:
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


class Postgres(Service):
    """PostgreSQL without fsync. It refuses to run as root, so root starts it as somebody else."""

    stop_signal = signal.SIGINT  # "fast": do not wait for clients
    last_words = signal.SIGQUIT  # "immediate": its children and shared memory go with it

    def __init__(self) -> None:
        super().__init__("postgres", _somebody_else() if os.geteuid() == 0 else None)
        self.data = self.folder / "data"
        initdb = [str(_postgres("initdb")), "-D", str(self.data), "-U", "lethe", "-A", "trust"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True,
            capture_output=True,
            user=self.user,
            cwd=self.folder,
        )

    @staticmethod
    def missing() -> bool:
        """Are the binaries not on this machine?"""
        return _postgres("postgres") is None

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "200",
        }
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(_postgres("postgres")), "-D", str(self.data), *flags]

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside a transaction."""
        with psycopg.connect(self._dsn(database), autocommit=True, connect_timeout=9) as connection:
            connection.execute(statement.encode())

    def create_database(self, template: str = "template1") -> str:
        """A fresh database, as a copy of `template` -> its name."""
        name = f"t{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Cut its connections and drop it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, database: str) -> str:
        """As `LETHE_DATABASE_URL` wants it."""
        return f"postgresql+psycopg://lethe@127.0.0.1:{self.port}/{database}"

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=lethe dbname={database}"


class Redis(Service):
    """Redis with an append-only file, so that a restart keeps its messages."""

    def __init__(self) -> None:
        super().__init__("redis", None)

    @staticmethod
    def missing() -> bool:
        """Is the binary not on this machine?"""
        return shutil.which("redis-server") is None

    def command(self) -> list[str]:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        keep = ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        return ["redis-server", *where, *keep]

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """A client for looking and disturbing."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=1, retry=once)

    @property
    def url(self) -> str:
        """As `LETHE_BROKER_URL` wants it."""
        return f"redis://127.0.0.1:{self.port}/0"


def _somebody_else() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _postgres(program: str) -> str | None:
    """Debian keeps the server's programs out of the PATH; the newest version wins."""
    places = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
    newest = max(places, key=lambda place: int(place.parts[-3]), default=None)
    return shutil.which(program) or (str(newest) if newest else None)
