"""The services of the tests do what chaos asks of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis as redis_client
from services import Postgres, Redis

HERE = Path(__file__).parent


def test_a_database_is_a_copy_of_its_template(postgres: Postgres) -> None:
    template = postgres.create_database()
    postgres.execute("CREATE TABLE shelf (book text)", template)

    copy = postgres.create_database(template)
    postgres.execute("INSERT INTO shelf VALUES ('one')", copy)

    assert postgres.url(copy).endswith(copy)
    with pytest.raises(psycopg.errors.UndefinedTable):
        postgres.execute("SELECT * FROM shelf")


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_service_comes_back_on_the_same_port_after_every_accident(
    kind: type[Postgres | Redis], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("postgres" if kind is Postgres else "redis_server")
    service = kind()
    request.addfinalizer(service.remove)
    service.start()
    port = service.port

    service.pause()
    service.resume()
    service.kill()
    alive_when_dead = service.answers()
    service.start()
    service.restart()

    assert not alive_when_dead
    assert service.answers()
    assert service.port == port


def test_a_frozen_redis_hangs_instead_of_refusing(redis: Redis) -> None:
    redis.pause()
    with pytest.raises(redis_client.TimeoutError):
        redis.client().ping()
    redis.resume()

    assert redis.client().ping()


def test_services_die_with_the_tests_that_started_them(redis_server: Redis, tmp_path: Path) -> None:
    del redis_server
    script = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); from services import Redis;"
        "r = Redis(); r.start(); print(r.process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)

    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not psutil.pid_exists(pid)
