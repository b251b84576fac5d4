"""Who may call: key holders, or this machine where there are no keys."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.auth import Keys
from app.main import Unsafe, create
from models_store.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def locked(settings: Settings) -> Iterator[FastAPI]:
    hashed = f"sha256:{hashlib.sha256(b'second-key').hexdigest()}"
    app = create(settings.model_copy(update={"api_keys": Settings(
        api_keys=("first-key", hashed)).api_keys}))  # fmt: skip
    yield app
    app.state.store.close()


def test_a_key_opens_the_door_in_clear_or_hashed(locked: FastAPI) -> None:
    door = TestClient(locked)

    def status(header: str | None) -> int:
        return door.get("/jobs", headers={"Authorization": header} if header else {}).status_code

    assert status("Bearer first-key") == status("bearer second-key") == 200
    assert status(None) == status("Bearer third-key") == status("Basic first-key") == 401
    assert status("Bearer") == status("Bearer sha256:" + "0" * 64) == 401


def test_a_refusal_says_how_to_come_in(locked: FastAPI) -> None:
    answer = TestClient(locked).get("/stats")

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_metrics_pages_and_description_need_no_key(locked: FastAPI) -> None:
    door = TestClient(locked)

    for path in ("/livez", "/readyz", "/metrics", "/dashboard", "/openapi.json",
                 "/problems/not-found"):  # fmt: skip
        assert door.get(path).status_code == 200


def test_every_other_path_needs_one(locked: FastAPI) -> None:
    door = TestClient(locked)
    document = door.get("/openapi.json").json()
    open_to_all = {"/livez", "/readyz", "/metrics", "/dashboard", "/problems/{slug}"}

    for path, methods in document["paths"].items():
        for method in methods if path not in open_to_all else ():
            answer = door.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, f"{method} {path}"


def test_an_owner_is_named_by_a_digest_of_the_key() -> None:
    keys = Keys.of(Settings(api_keys="one, two").api_keys)

    assert keys.owner("one") == hashlib.sha256(b"one").hexdigest()[:16]
    assert keys.owner("one") != keys.owner("two")
    assert keys.owner("three") is keys.owner("") is None


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        (("127.0.0.1", 1), {}, 200),
        (("::1", 1), {}, 200),
        (("192.168.1.7", 1), {}, 401),
        (("127.0.0.1", 1), {"Host": "evil.example"}, 401),
        (("127.0.0.1", 1), {"Origin": "https://evil.example"}, 401),
        (("127.0.0.1", 1), {"Origin": "null"}, 401),
        (("127.0.0.1", 1), {"Origin": "http://localhost:8000", "Host": "localhost:8000"}, 200),
    ],
)
def test_without_keys_only_this_machine_may_call(
    app: FastAPI, client: tuple[str, int], headers: dict[str, str], status: int
) -> None:
    door = TestClient(app, base_url="http://127.0.0.1", client=client)

    assert door.get("/stats", headers=headers).status_code == status


def test_server_mode_without_keys_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql+psycopg://nowhere/x")

    with pytest.raises(Unsafe, match="LETHE_API_KEYS"):
        create(settings)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"LETHE_DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/x"}, "LETHE_API_KEYS"),
        ({"LETHE_API_KEYS": "sha256:abcd"}, "LETHE_API_KEYS"),
        ({"LETHE_MAX_BODY_BYTES": "many"}, "LETHE_MAX_BODY_BYTES"),
    ],
)
def test_a_wrong_environment_is_told_in_one_line(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LETHE_")}

    ended = subprocess.run(
        [sys.executable, "-m", "uvicorn", "app.main:from_environment", "--factory", "--port", "0"],
        cwd=ROOT,
        env=clean | {"LETHE_HOME": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode != 0
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
