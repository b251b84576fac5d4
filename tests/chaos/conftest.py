"""Furnished houses in both modes; each file has houses of its own, and treats them badly."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from furniture import furnish
from scene import Scene
from services import Postgres
from stage import Stage

from models_store.settings import Settings
from models_store.store import Store

BOTH = ["embedded", "server"]


@pytest.fixture(scope="session")
def sqlite_home(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A furnished home folder, for copying."""
    folder = tmp_path_factory.mktemp("furnished")
    (folder / "home").mkdir()
    shutil.copy(sqlite_template, folder / "home" / "lethe.db")
    _furnish(Settings(home=folder / "home"), folder)
    return folder / "home"


@pytest.fixture(scope="session")
def postgres_home(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, postgres_template: str
) -> tuple[Path, str]:
    """A furnished blob folder and database, for copying."""
    folder = tmp_path_factory.mktemp("furnished")
    name = postgres.create_database(postgres_template)
    settings = Settings(
        home=folder, blobs=folder / "home" / "blobs", database_url=postgres.url(name)
    )
    _furnish(settings, folder)
    return folder / "home", name


def _furnish(settings: Settings, folder: Path) -> None:
    torch.set_num_threads(1)
    store = Store.open(settings)
    furnish(store, folder)
    store.close()


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(request, stack)


@pytest.fixture(scope="module", params=BOTH)
def open_scene(request: pytest.FixtureRequest, stage: Stage) -> Scene:
    """A house with an API, in either mode; a test starts the workers that it needs."""
    scene = stage.embedded() if request.param == "embedded" else stage.server(stage.own_redis())
    scene.house.open_api()
    return scene


@pytest.fixture
def scene(open_scene: Scene) -> Iterator[Scene]:
    """The same, with the invariants checked after the test."""
    yield open_scene
    open_scene.check()
