"""A furnished house whose model has a reference pool."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from furniture import furnish
from pooled import GONE, HALVES, order
from scene import Scene, staged

from models_store.pools import Retrains
from models_store.settings import Settings
from models_store.store import Store
from workers import tasks
from workers.bench import Bench, pick_device


@pytest.fixture(scope="session")
def pooled(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """The home folder of a model with a pool of six halves and a retrain."""
    folder = tmp_path_factory.mktemp("pooled")
    (folder / "home").mkdir()
    shutil.copy(sqlite_template, folder / "home" / "lethe.db")
    store = Store.open(Settings(home=folder / "home"))
    furnish(store, folder, models=1)
    job = order(store, HALVES, [Retrains(label=GONE, size=1)])
    assert tasks.carry_out(Bench(store=store, name="here", device=pick_device()), job)
    store.close()
    return folder / "home"


@pytest.fixture
def scene(pooled: Path, tmp_path: Path) -> Iterator[Scene]:
    shutil.copytree(pooled, tmp_path / "home")
    with staged(tmp_path, "embedded") as opened:
        yield opened


@pytest.fixture
def bench(scene: Scene) -> Bench:
    return Bench(store=scene.store, name="here", device=pick_device())
