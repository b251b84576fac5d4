"""What stands in a scene: digits, and many models with the same small net."""

from pathlib import Path

from digits import digits_npz
from sqlalchemy.orm import Session

from models_store import datasets, intake, offers, registry, versions
from models_store.life import VersionState
from models_store.registry import NewModel
from models_store.store import Store
from models_store.tables import Blob, Model, Version
from workers import tasks, warmup
from workers.bench import Bench, pick_device

MODELS = 50


def furnish(store: Store, folder: Path, models: int = MODELS) -> None:
    """Import digits, train a small net for an instant, and give its weights to many models."""
    bench = Bench(store=store, name="furnisher", device=pick_device())
    with store.begin() as db:
        offers.advertise(db, warmup.abilities())
        source = {"path": str(digits_npz(folder))}
        _, imported = datasets.register(db, name="digits", source=source, actor="test")
    assert tasks.carry_out(bench, imported.id)
    with store.begin() as db:
        first = _register(db, 0)
        trained = intake.open_training(db, first, {"epochs": 8, "batch_size": 64}, 7, "test")
    assert tasks.carry_out(bench, trained.id)
    with store.begin() as db:
        made = versions.get(db, first.id, "active")
        for number in range(1, models):
            _give(db, _register(db, number), made)


def _register(db: Session, number: int) -> Model:
    new = NewModel(
        name=f"digits-{number}", architecture="small_cnn", parameters={"filters": 16},
        dataset="digits", mean=[0.5], std=[0.5], policy={},
    )  # fmt: skip
    return registry.register(db, new, "test")


def _give(db: Session, model: Model, made: Version) -> None:
    version = versions.add(
        db, registry.locked(db, model.id), 1, kept=db.get_one(Blob, made.digest), method="import",
        state=VersionState.CHECKING, parent=None, trained_on=made.trained_on, recipe=made.recipe,
        assured=True, scores=made.scores,
    )  # fmt: skip
    model.next_version = 2
    versions.serve(db, version, VersionState.ACTIVE)
