"""`lethe up` as people use it: one process to start and stop, which keeps the others alive."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from services import dies_with_parent, free_port

LETHE = [sys.executable, "-m", "lethe"]


@dataclass
class Up:
    """A running `lethe up`."""

    process: subprocess.Popen[str]
    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def child(self, module: str) -> psutil.Process:
        """The room that was started as `python -m <module>`."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if module in child.cmdline())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `lethe`, speaking to this service."""
        command = [*LETHE, "--url", self.url, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home, port = tmp_path_factory.mktemp("home"), free_port()
    process = subprocess.Popen(
        [*LETHE, "up", "--home", str(home), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=dies_with_parent(signal.SIGTERM),
    )
    assert process.stdout is not None
    assert "Lethe is up" in process.stdout.readline(), (home / "api.log").read_text()
    yield Up(process, home, port)
    process.kill()
    process.communicate()


def until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def answers(up: Up) -> bool:
    try:
        return httpx.get(f"{up.url}/readyz").is_success
    except httpx.TransportError:
        return False


def test_it_listens_on_loopback_only(up: Up) -> None:
    listening = [
        connection.laddr.ip
        for connection in up.child("uvicorn").net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_everything_lies_in_one_folder(up: Up) -> None:
    assert {"lethe.db", "api.log", "worker.log"} <= {path.name for path in up.home.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ready"], 0, ""),
        (["forget", "nobody"], 2, "exactly one of"),
        (["train", "nobody", "--recipe", "epochs"], 2, "name=value"),
        (["datasets", "import", "/", "--name", "roots"], 3, "LETHE_IMPORT_ROOTS"),
        (["datasets", "import", "s3://no/set.npz", "--name", "far"], 3, "LETHE_IMPORT_URLS"),
        (["datasets", "import", "nowhere.npz", "--name", "no"], 2, "nowhere.npz"),
        (["models", "show", "nobody"], 4, "nobody"),
        (["requests", "show", "no-uuid"], 3, "/request_id"),
        (["requests", "extend", "no-uuid", "complex"], 3, "/request_id"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    up: Up, arguments: list[str], code: int, said: str
) -> None:
    done = up.run(*arguments)

    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_service_it_says_how_to_start_one() -> None:
    done = subprocess.run(
        [*LETHE, "--url", f"http://127.0.0.1:{free_port()}", "stats"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 6
    assert "lethe up" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_answers_come_as_json_where_asked_for(up: Up) -> None:
    assert json.loads(up.run("--json", "models", "list").stdout) == []


def test_a_taken_port_is_named(up: Up, tmp_path: Path) -> None:
    done = up.run("up", "--home", str(tmp_path), "--port", str(up.port))

    assert done.returncode == 6
    assert f"Port {up.port}" in done.stderr


def test_a_room_that_dies_is_opened_again(up: Up) -> None:
    first = up.child("uvicorn")

    first.kill()
    first.wait()
    until(lambda: answers(up))

    assert up.child("uvicorn").pid != first.pid

    assert up.process.stdout is not None
    assert "Data and logs" in up.process.stdout.readline()
    assert "The API ended with code -9" in up.process.stdout.readline()


def test_it_stops_in_good_order(up: Up) -> None:
    children = psutil.Process(up.process.pid).children(recursive=True)

    os.kill(up.process.pid, signal.SIGTERM)

    assert up.process.wait(240) == 0
    assert psutil.wait_procs(children, timeout=60)[1] == []
