"""What comes in from outside: weights with what they were trained on, and orders to train."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from models_store import datasets, events, jobs, offers, registry, versions
from models_store.blobs import Kept
from models_store.errors import UnknownSamples
from models_store.life import JobKind, Queue, VersionState
from models_store.tables import Blob, Dataset, Job, Model, Version, VersionSample

WEIGHTS = "application/vnd.safetensors"
SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where weights come from: whole splits or a list of samples, and the recipe if known."""

    splits: tuple[str, ...] = ()
    sample_ids: tuple[str, ...] = ()
    recipe: dict[str, Any] | None = None


def check_origin(db: Session, model: Model, origin: Origin) -> list[int]:
    """The listed samples as rows of the model's dataset, ascending; [] where splits are named.

    Raises:
        UnknownSamples: `unknown` lists IDs (the first fifty) or splits that it does not have.
        InvalidParams: the recipe.
    """
    if origin.recipe is not None:
        offers.check(db, "recipe", "default", origin.recipe)
    dataset = db.get_one(Dataset, model.dataset_id)
    _refuse_unknown(dataset, "splits", sorted(set(origin.splits) - set(dataset.counts)))
    found = datasets.positions_of(db, dataset.id, origin.sample_ids)
    _refuse_unknown(dataset, "sample IDs", sorted(set(origin.sample_ids) - set(found)))
    return sorted(found.values())


def _refuse_unknown(dataset: Dataset, what: str, unknown: list[str]) -> None:
    if unknown:
        raise UnknownSamples(
            f"{len(unknown)} {what} are not in the dataset {dataset.name!r}, the first is "
            f"{unknown[0]!r}; its splits are {', '.join(dataset.counts)}.",
            unknown=unknown[:SHOWN],
            unknown_count=len(unknown),
        )


def register_version(
    db: Session, model: Model, kept: Kept, origin: Origin, actor: str
) -> tuple[Version, Job]:
    """Give uploaded weights a number, and open the job that checks them.

    Raises what `check_origin` raises.
    """
    rows = check_origin(db, model, origin)
    model = registry.locked(db, model.id)
    number = versions.reserve(model, {})
    version = versions.add(
        db,
        model,
        number,
        kept=Blob(digest=kept.digest, size=kept.size, media_type=WEIGHTS),
        method="import",
        state=VersionState.CHECKING,
        trained_on={"splits": list(origin.splits)} if origin.splits else {"listed": len(rows)},
        recipe=origin.recipe,
    )
    if rows:
        key = {"model_id": model.id, "number": number}
        db.execute(insert(VersionSample), [{**key, "position": row} for row in rows])
    job = jobs.open_job(
        db, JobKind.CHECK, Queue.UPKEEP, task={"number": number},
        model_id=model.id, dataset_id=model.dataset_id,
    )  # fmt: skip
    events.append(
        db, "version.registered", chain=model.id, actor=actor, job_id=job.id,
        number=number, digest=kept.digest,
    )  # fmt: skip
    return version, job


def open_training(
    db: Session,
    model: Model,
    recipe: dict[str, Any],
    seed: int | None,
    actor: str,
    *,
    log_updates: bool = False,
) -> Job:
    """Open the job that trains a new version by a recipe. Raises `InvalidParams`."""
    offers.check(db, "recipe", "default", recipe)
    task = {"recipe": recipe} | ({"log_updates": True} if log_updates else {})
    job = jobs.open_job(
        db, JobKind.TRAIN, Queue.EXACT, task=task,
        model_id=model.id, dataset_id=model.dataset_id,
    )  # fmt: skip
    if seed is not None:
        job.seed = seed
    events.append(db, "model.training_ordered", chain=model.id, actor=actor, job_id=job.id)
    return job
