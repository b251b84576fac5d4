"""What every test may ask for: the two services, databases with our tables, and a small world."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Postgres, Redis, not_run
from world import World, furnish

from models_store.settings import Settings
from models_store.store import Store

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL."""
    if Postgres.missing():
        not_run("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis; what an earlier test put there may still be there."""
    if Redis.missing():
        not_run("Redis is not installed (Debian: apt-get install redis-server)")
    server = Redis()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """A running, empty Redis."""
    redis_server.client().flushall()
    return redis_server


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """A database with our tables, for cloning."""
    name = postgres.create_database()
    migrate({"LETHE_DATABASE_URL": postgres.url(name)})
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables, for copying."""
    home = tmp_path_factory.mktemp("template")
    migrate({"LETHE_HOME": str(home)})
    return home / "lethe.db"


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with our tables, as `LETHE_DATABASE_URL`."""
    name = postgres.create_database(postgres_template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        home = tmp_path / "home"
        home.mkdir()
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "lethe.db")
        settings = Settings(home=home)
    else:
        url = request.getfixturevalue("postgres_url")
        settings = Settings(home=tmp_path, database_url=url, blobs=tmp_path / "blobs")
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def world(store: Store) -> World:
    return furnish(store)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Flows take longest and mostly wait: they begin first, so that no core is left with one alone."""
    items.sort(key=lambda item: "flows" not in item.path.parts)


def migrate(environment: dict[str, str], target: str = "head") -> None:
    """Bring a database to a revision by the command that operators use."""
    direction = "downgrade" if target == "base" else "upgrade"
    subprocess.run(
        [sys.executable, "-m", "alembic", "--config", "pyproject.toml", direction, target],
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what this machine could not run, so that no skip hides."""
    left_out = {
        report.nodeid: report.longrepr[2].removeprefix("Skipped: NOT RUN: ")
        for report in terminalreporter.stats.get("skipped", [])
        if "NOT RUN" in report.longrepr[2]
    }
    if left_out:
        terminalreporter.section(f"NOT RUN: {len(left_out)} tests", yellow=True)
        for test, reason in left_out.items():
            terminalreporter.line(f"NOT RUN {test}: {reason}")
