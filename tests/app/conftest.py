"""The door, as a caller on this machine meets it, over a store with a small world in it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event
from world import World, furnish

from app.main import create
from models_store import offers
from models_store.offers import Ability
from models_store.settings import Settings
from models_store.store import Store

HERE = ("127.0.0.1", 50000)


def knock(app: FastAPI, **options: Any) -> TestClient:
    return TestClient(
        app, base_url="http://127.0.0.1", client=HERE, raise_server_exceptions=False, **options
    )


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "lethe.db")
    return Settings(
        home=home,
        import_roots=(tmp_path / "import",),
        import_urls=("s3://bucket/sets/",),
        max_upload_bytes=1 << 20,
        max_body_bytes=1 << 16,
        max_sample_ids=100,
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    opened = create(settings)
    yield opened
    opened.state.store.close()


@pytest.fixture
def store(app: FastAPI) -> Store:
    found: Store = app.state.store
    return found


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> World:
    """A small world, for copying; its store is closed."""
    home = tmp_path_factory.mktemp("furnished")
    shutil.copy(sqlite_template, home / "lethe.db")
    store = Store.open(Settings(home=home))
    world = furnish(store)
    advertise_recipes(store)
    store.close()
    return world


def advertise_recipes(store: Store) -> None:
    epochs = {"type": "integer", "minimum": 1}
    recipe = {"type": "object", "additionalProperties": False, "properties": {"epochs": epochs}}
    with store.begin() as db:
        offers.advertise(db, [Ability("recipe", "default", "How to train.", recipe, {})])


@pytest.fixture
def world(store: Store, furnished: World) -> World:
    store.engine.dispose()
    shutil.copytree(furnished.store.settings.home, store.settings.home, dirs_exist_ok=True)
    return World(store, furnished.dataset_id, furnished.model_id)


@pytest.fixture
def door(app: FastAPI) -> TestClient:
    return knock(app)


@pytest.fixture
def postgres_world(tmp_path: Path, postgres_url: str) -> Iterator[tuple[TestClient, World]]:
    """The same over PostgreSQL, where every call carries a key."""
    settings = Settings(
        home=tmp_path, database_url=postgres_url, blobs=tmp_path / "blobs", api_keys=("a-key",)
    )
    opened = create(settings)
    yield (
        knock(opened, headers={"Authorization": "Bearer a-key"}),
        furnish(opened.state.store),
    )
    opened.state.store.close()


@pytest.fixture
def statements(store: Store) -> Iterator[Callable[[Callable[[], object]], int]]:
    """Counts the SQL statements of a call."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(store.engine, "before_cursor_execute", note)

    def counted(call: Callable[[], object]) -> int:
        seen.clear()
        call()
        return len(seen)

    yield counted
    event.remove(store.engine, "before_cursor_execute", note)


@pytest.fixture
def in_folder(store: Store) -> Callable[[], list[str]]:
    """The files in the blob folder."""
    return lambda: sorted(path.name for path in store.blobs.listed())
