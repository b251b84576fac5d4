"""The door as a process of its own, over a real socket: what a test client cannot see."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Barrier

import httpx
import pytest
from services import dies_with_parent, free_port
from world import World, furnish

from models_store.settings import Settings
from models_store.store import Store

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds: as long as anything is waited for."""
DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


@contextmanager
def open_door(environment: dict[str, str]) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LETHE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app.main:from_environment", "--factory",
         "--port", str(port), "--no-access-log", "--timeout-graceful-shutdown", "20"],
        cwd=ROOT, env=clean | environment, text=True, stderr=subprocess.PIPE,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as door:
            wait_for(door, process)
            yield door, process
    finally:
        process.kill()
        process.communicate()


def wait_for(door: httpx.Client, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            door.get("/livez")
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(sqlite_template, folder / "lethe.db")
    return folder


@pytest.fixture(scope="module")
def world(home: Path) -> Iterator[World]:
    store = Store.open(Settings(home=home))
    yield furnish(store)
    store.close()


@pytest.fixture(scope="module")
def door(home: Path, world: World) -> Iterator[httpx.Client]:
    with open_door({"LETHE_HOME": str(home)}) as (opened, _):
        yield opened


def test_every_kind_of_answer_passes_all_layers(door: httpx.Client) -> None:
    answers = [
        door.get(path)
        for path in ("/livez", "/readyz", "/jobs", "/nowhere", "/models/zoo", "/metrics",
                     "/dashboard", "/openapi.json", "/models/zoo/versions/1/weights")
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [200, 200, 200, 404] + [200] * 5
    assert door.put("/jobs").status_code == 405
    assert door.options("/jobs").status_code == 405


def test_a_part_of_the_weights_is_sent(door: httpx.Client) -> None:
    answer = door.get("/models/zoo/versions/1/weights", headers={"Range": "bytes=6-"})

    assert (answer.status_code, answer.content) == (206, b"weights 1")


def test_a_large_body_in_chunks_is_cut_off(door: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * (1 << 20)

    try:
        answer = door.post(
            "/forget-requests", content=endless(), headers={"Content-Type": "application/json"}
        )
    except httpx.TransportError:  # the server may also hang up on a caller who goes on sending
        return
    assert answer.status_code == 413


def test_events_are_heard_as_they_happen(door: httpx.Client, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    heard: list[str] = []

    with door.stream("GET", f"{where}/events", headers={"Accept": "text/event-stream"}) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                heard.append(line.removeprefix("event: "))
            if heard == ["request.accepted", "request.queued"] and line == "":
                door.post(f"{where}/cancel")

    assert heard == ["request.accepted", "request.queued", "request.cancelled"]


def test_many_listeners_hold_up_nobody(door: httpx.Client) -> None:
    where = door.post("/forget-requests", json={**DEER, "lane": "exact"}).headers["location"]

    everybody = Barrier(61)

    def listen(_: int) -> int:
        accept = {"Accept": "text/event-stream"}
        url = f"{door.base_url}{where}/events"
        with httpx.stream("GET", url, headers=accept, timeout=PATIENCE) as stream:
            everybody.wait(PATIENCE)
            return sum(line.startswith("event: ") for line in stream.iter_lines())

    with ThreadPoolExecutor(60) as pool:
        listeners = [pool.submit(listen, i) for i in range(60)]
        everybody.wait(PATIENCE)
        status = door.get("/stats").status_code
        door.post(f"{where}/cancel")
        heard = [listener.result() for listener in listeners]

    assert status == 200
    assert heard == [3] * 60


def test_a_stop_ends_open_streams_and_the_process(home: Path, world: World) -> None:
    with open_door({"LETHE_HOME": str(home)}) as (door, process):
        where = door.post("/forget-requests", json={**DEER, "lane": "quality"}).headers["location"]
        accept = {"Accept": "text/event-stream"}
        with door.stream("GET", f"{where}/events", headers=accept) as stream:
            lines = stream.iter_lines()
            heard = [next(lines)]
            while heard[-1] != "event: request.queued":
                heard.append(next(lines))
            process.send_signal(signal.SIGTERM)
            list(lines)  # the stream ends whole: no error is raised
        code = process.wait(PATIENCE)

    assert heard[0] == "retry: 1000"
    assert code in (0, -signal.SIGTERM)


def test_two_processes_behind_one_port_count_together(
    home: Path, world: World, tmp_path: Path
) -> None:
    both = {"WEB_CONCURRENCY": "2", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with open_door({"LETHE_HOME": str(home), **both}) as (door, process):
        for _ in range(40):  # each on a connection of its own, so that either may answer
            assert httpx.get(f"{door.base_url}/jobs", timeout=PATIENCE).status_code == 200
        text = door.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)

    assert 'lethe_http_requests_total{method="GET",route="/jobs",status="200"} 40.0' in text
    assert "lethe_jobs_unrung" in text
    assert len(list(tmp_path.glob("counter_*.db"))) == 2


def test_requests_are_accepted_quickly_while_the_broker_is_away(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "lethe.db")
    store = Store.open(Settings(home=tmp_path))
    furnish(store)
    store.close()
    away = {"LETHE_HOME": str(tmp_path), "LETHE_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}

    with open_door(away) as (door, _):
        answers = [door.post("/forget-requests", json=DEER) for _ in range(5)]
        ready = door.get("/readyz")

    assert [answer.status_code for answer in answers] == [202] * 5
    assert median(answer.elapsed.total_seconds() for answer in answers) < 1.5
    assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "broker": False})
