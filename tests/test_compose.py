"""What docker-compose.yml starts works: its own commands, environments and order, without Docker."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from services import Postgres, Redis, dies_with_parent, free_port

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile.gpu").read_text()
OURS = ("migrate", "api", "worker-gpu", "worker-cpu")
KEY = "a-key-of-the-test"


class ComposedRedis(Redis):
    """Redis as the compose file commands it, on our port and in our folder."""

    def command(self) -> list[str]:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        return [*SERVICES["redis"]["command"], *where]


class House:
    """The processes of the compose file, started here."""

    def __init__(self, postgres: Postgres, redis: Redis, folder: Path) -> None:
        self.database = postgres.create_database()
        self.postgres, self.redis, self.folder = postgres, redis, folder
        self.port = free_port()
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """A service by its name in the file."""
        service = SERVICES[name]
        command = [self.here(str(word)) for word in service["command"]]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | self.environment(name),
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
        self.running.append(process)
        return process

    def environment(self, name: str) -> dict[str, str]:
        values = SERVICES[name]["environment"].items()
        return {key: self.here(interpolated(str(value))) for key, value in values}

    def here(self, text: str) -> str:
        """The same address on this machine."""
        if text == "python":
            return sys.executable
        if text == "8000":
            return str(self.port)
        if text == "0.0.0.0":
            return "127.0.0.1"
        if urlsplit(text).hostname == "postgres":
            return self.postgres.url(self.database)
        if urlsplit(text).hostname == "redis":
            return self.redis.url
        if text == SERVICES["api"]["environment"]["PROMETHEUS_MULTIPROC_DIR"]:
            (self.folder / "metrics").mkdir(exist_ok=True)
            return str(self.folder / "metrics")
        return text.replace("/var/lib/lethe", str(self.folder))

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def close(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
        self.postgres.drop_database(self.database)


def interpolated(text: str) -> str:
    given = {"LETHE_API_KEYS": KEY, "POSTGRES_PASSWORD": "secret", "LETHE_PORT": "8000"}
    named = r"\$\{(\w+):[?-]([^}]*)\}"
    return re.sub(named, lambda match: given.get(match[1], match[2]), text)


@pytest.fixture
def house(postgres: Postgres, redis_server: Redis, tmp_path: Path) -> Iterator[House]:
    del redis_server
    redis = ComposedRedis()
    redis.start()
    made = House(postgres, redis, tmp_path)
    yield made
    made.close()
    redis.remove()


def becomes(house: House, path: str, wanted: str, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if wanted in house.get(path).text:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, house.logs()
        time.sleep(0.1)


def test_the_commands_of_the_file_make_a_service(house: House) -> None:
    assert house.start("migrate").wait(240) == 0, house.logs()
    api, worker = house.start("api"), house.start("worker-cpu")

    becomes(house, "/readyz", '"ready"')
    becomes(house, "/stats", '"workers":1')

    assert httpx.get(f"http://127.0.0.1:{house.port}/stats").status_code == 401
    health = [house.here(word) for word in SERVICES["api"]["healthcheck"]["test"][1:]]
    url = {"LETHE_URL": f"http://127.0.0.1:{house.port}"}
    assert subprocess.run(health, cwd=ROOT, env=os.environ | url, check=False).returncode == 0
    for process in (api, worker):
        process.terminate()
    stopped = -signal.SIGTERM  # what uvicorn ends with once all calls are answered
    assert [process.wait(seconds("api")) for process in (api, worker)] == [stopped, 0]


def test_the_api_does_not_start_without_keys(house: House) -> None:
    environment = house.environment("api") | {"LETHE_API_KEYS": ""}
    command = [house.here(word) for word in SERVICES["api"]["command"]]

    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "LETHE_API_KEYS" in done.stderr
    assert "Traceback" not in done.stderr


def test_secrets_have_no_defaults() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("LETHE_API_KEYS", "POSTGRES_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(:.)", text)) == {":?"}


def test_everything_waits_for_what_it_needs_and_has_time_to_stop() -> None:
    for name in ("api", "worker-gpu", "worker-cpu"):
        conditions = {on: how["condition"] for on, how in SERVICES[name]["depends_on"].items()}
        assert conditions == {
            "postgres": "service_healthy",
            "redis": "service_healthy",
            "migrate": "service_completed_successfully",
        }
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "redis", "api"))
    assert all(seconds(name) >= 90 for name in SERVICES)


def test_both_workers_are_one_program_and_only_one_asks_for_a_gpu() -> None:
    gpu, cpu = SERVICES["worker-gpu"], SERVICES["worker-cpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]

    assert device["driver"] == "nvidia"
    assert cpu["profiles"] == ["cpu"]
    assert without(gpu, "deploy") == without(cpu, "profiles")


def test_each_image_is_built_from_files_that_exist() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE))
    copied = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE)

    assert {SERVICES[name]["build"]["target"] for name in OURS} <= targets
    assert all((ROOT / path).exists() for path in copied)
    assert DOCKERFILE.count("--require-hashes") == len(targets) - 1


def test_the_image_of_the_api_holds_neither_workshop_nor_torch() -> None:
    api = DOCKERFILE[DOCKERFILE.index("AS api") : DOCKERFILE.index("AS worker")]
    assert "workers" not in api
    assert "requirements.lock" not in api


def test_nothing_of_ours_runs_as_root() -> None:
    for target in ("api", "worker"):
        section = DOCKERFILE[DOCKERFILE.index(f"AS {target}") :].split("\nFROM ")[0]
        assert "\nUSER lethe\n" in section


def without(service: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in service.items() if name != key}


def seconds(name: str) -> int:
    return int(SERVICES[name].get("stop_grace_period", "10s").removesuffix("s"))
