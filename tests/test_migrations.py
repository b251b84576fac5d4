"""The migrations on both databases: forwards, back, forwards; and no drift from the tables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from services import Postgres

from models_store.store import SCHEMA

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    home = {"LETHE_HOME": str(tmp_path)}
    if request.param == "sqlite":
        return home
    postgres: Postgres = request.getfixturevalue("postgres")
    return home | {"LETHE_DATABASE_URL": postgres.url(postgres.create_database())}


def alembic(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "--config", "pyproject.toml", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_they_go_forwards_back_and_forwards_and_leave_no_drift(environment: dict[str, str]) -> None:
    alembic(environment, "upgrade", "head")
    alembic(environment, "downgrade", "base")
    alembic(environment, "upgrade", "head")

    assert "No new upgrade operations detected" in alembic(environment, "check")
    assert SCHEMA in alembic(environment, "current")


def test_the_code_names_the_newest_of_them() -> None:
    config = Config(toml_file=ROOT / "pyproject.toml")

    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


def test_events_can_be_neither_changed_nor_deleted(environment: dict[str, str]) -> None:
    alembic(environment, "upgrade", "head")
    code = (
        "from sqlalchemy import text\n"
        "from models_store import events\n"
        "from models_store.settings import Settings\n"
        "from models_store.store import Store\n"
        "store = Store.open(Settings())\n"
        "with store.begin() as db: events.append(db, 'test.happened')\n"
        "refused = 0\n"
        "for words in ('UPDATE events SET actor = 1', 'DELETE FROM events'):\n"
        "    try:\n"
        "        with store.begin() as db: db.execute(text(words))\n"
        "    except Exception as error: refused += 'append-only' in str(error)\n"
        "print(refused)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == "2"
