"""The supervisor keeps its children alive, and takes them with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lethe import up
from lethe.up import CannotStart, Child, Supervisor

FOREVER = [sys.executable, "-c", "import time; time.sleep(1000)"]
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(1000)"
)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(command: list[str]) -> Supervisor:
        log = (tmp_path / "log").open("wb")
        child = Child("child", command, dict(os.environ), log)
        made.append(Supervisor([child], news.append))
        return made[-1]

    news: list[str] = []
    make.news = news  # type: ignore[attr-defined]
    yield make
    for supervisor in made:
        supervisor.stop()


def until(true: Callable[[], object], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_a_child_that_is_killed_is_started_again(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(FOREVER)
    child = supervisor.children[0]
    supervisor.tend()
    assert child.process is not None
    first = child.process.pid

    child.signal(signal.SIGKILL)
    until(lambda: (supervisor.tend(), child.process and child.process.pid != first)[1])

    assert supervised.news == ["The child ended with code -9; it is started again in 1 s."]


def test_a_child_that_keeps_dying_is_left_longer_alone_each_time_but_not_for_ever(
    supervised: Callable[..., Supervisor],
) -> None:
    supervisor = supervised([sys.executable, "-c", ""])
    child = supervisor.children[0]
    waits = []

    for _ in range(8):
        child.due = 0.0
        supervisor.tend()
        assert child.process is not None
        child.process.wait()
        now = time.monotonic()
        child.look(now)
        waits.append(child.due - now)

    assert waits == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])


def test_a_child_that_lived_long_is_started_again_at_once(
    supervised: Callable[..., Supervisor],
) -> None:
    supervisor = supervised([sys.executable, "-c", ""])
    child = supervisor.children[0]
    child.failures = 5
    supervisor.tend()
    assert child.process is not None
    child.process.wait()

    now = child.started + up.STEADY_AFTER_SECONDS + 1
    child.look(now)

    assert child.due - now == pytest.approx(0.5)


def test_a_child_that_will_not_end_is_killed(
    supervised: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "STOP_WITHIN_SECONDS", 0.2)
    supervisor = supervised([sys.executable, "-c", DEAF])
    supervisor.tend()
    process = supervisor.children[0].process
    assert process is not None
    until(lambda: "deaf" in (tmp_path / "log").read_text())

    supervisor.stop()

    assert process.poll() == -signal.SIGKILL


def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys; from lethe.up import Child, Supervisor;"
        f"child = Child('child', {FOREVER!r}, dict(os.environ), open({str(tmp_path / 'log')!r}, 'wb'));"
        "Supervisor([child], print).tend();"
        "print(child.process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.communicate()

    until(lambda: not child.is_running())


def test_one_folder_has_one_service(tmp_path: Path) -> None:
    with up._alone(tmp_path), pytest.raises(CannotStart, match="already runs"), up._alone(tmp_path):
        pass


def test_a_server_database_is_not_mistaken_for_the_embedded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETHE_DATABASE_URL", "postgresql+psycopg://somewhere/else")

    with (
        pytest.raises(CannotStart, match="LETHE_DATABASE_URL is set"),
        up.service(tmp_path, 0, print),
    ):
        pass
