"""Tunings: parameters of a method tried on a model, each try kept, and the best taken over."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models_store import (
    choices,
    datasets,
    events,
    forecast,
    jobs,
    lineage,
    offers,
    pools,
    registry,
    rungs,
    targets,
    versions,
)
from models_store.choices import Choice
from models_store.claims import Claim
from models_store.columns import now
from models_store.errors import InvalidParams, InvalidTransition, NotFound
from models_store.life import JOB_ENDED, Goal, JobKind, JobStatus, Queue
from models_store.recipe_files import RecipeFile, Tuned
from models_store.rungs import Subject
from models_store.tables import Dataset, Job, Model, Trial, TunedParams, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be rehearsed: a class by number or name, or so many samples."""

    method: str
    label: int | str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a tuning job finds each time it turns to another try; rows ascending."""

    subject: Subject
    weights: str
    updates: str | None
    original: int
    """The version that its line began with."""
    recipe: dict[str, Any] | None
    training: list[int]
    """What the version has seen and nobody has had forgotten."""
    seen: list[int]
    """What its line was trained on."""
    forgotten: list[int]
    trials: list[Trial]


# ---- ordered, stopped, seen ----------------------------------------------------------------------


def order(db: Session, model: Model, wanted: Order, actor: str) -> Job:
    """Open the job that tunes a method for the version that a model serves.

    Raises:
        NotReady: the model serves no version.
        UnknownSamples: the dataset has no such class.
        InvalidParams, NoRecipe: there is nothing to tune, or it could not run.
    """
    root = pools.root_of(db, model)
    served = versions.get(db, model.id, "active")
    dataset = db.get_one(Dataset, model.dataset_id)
    task: dict[str, Any] = {"method": wanted.method, "size": wanted.size}
    if wanted.size is None:
        task = {"method": wanted.method, "label": targets.label_of(dataset, wanted.label)}
    elif not dataset.counts.get("holdout"):
        raise InvalidParams(
            f"The dataset {dataset.name!r} has no hold-out: how well samples are forgotten shows "
            "beside images that were never trained on. Import it with one, or tune for a class."
        )
    choice = Choice(method=wanted.method, params={}, source="method", prune=None)
    choices.refuse_impossible(db, choice, model, root, served)
    offer = offers.check(db, "method", wanted.method, {})
    if not offer.traits.get("tunable"):
        raise InvalidParams(f"{wanted.method} has nothing to tune.")
    job = jobs.open_job(
        db, JobKind.TUNE, Queue.QUALITY, task=task,
        model_id=model.id, dataset_id=dataset.id, base_version=served.number,
    )  # fmt: skip
    job.method = wanted.method
    job.prediction = forecast.rehearsed(db, model, root, job, offer)
    events.append(db, "tuning.ordered", chain=model.id, actor=actor, job_id=job.id, **task)
    return job


def get(db: Session, model: Model, job_id: UUID) -> Job:
    """Raises `NotFound`."""
    job = db.get(Job, job_id)
    if job is None or job.kind is not JobKind.TUNE or job.model_id != model.id:
        raise NotFound(f"The model {model.name!r} has no tuning {job_id}.")
    return job


def page(db: Session, model: Model, after: UUID | None, limit: int) -> list[Job]:
    """Newest first."""
    mine = select(Job).where(Job.model_id == model.id, Job.kind == JobKind.TUNE)
    mine = mine.order_by(Job.id.desc()).limit(limit)
    return list(db.scalars(mine.where(Job.id < after) if after else mine))


def trials(db: Session, job_id: UUID) -> list[Trial]:
    """The tries of a tuning, in order."""
    return list(db.scalars(select(Trial).where(Trial.job_id == job_id).order_by(Trial.number)))


def goal_of(job: Job) -> Goal:
    """For what a tuning looks."""
    return Goal.CLASS if "label" in job.task else Goal.SAMPLES


# ---- carried out ---------------------------------------------------------------------------------


def begin(db: Session, claim: Claim) -> Tuning:
    """What there is to try with. The version that the order named stays until the job has ended."""
    assert claim.model_id is not None
    model = registry.get(db, str(claim.model_id))
    base = db.get_one(Version, (model.id, claim.base_version))
    root = lineage.line(db, base)[-1]
    seen = lineage.training_rows(db, root, model.dataset_id)
    forgotten = datasets.forgotten(db, model.dataset_id)
    return Tuning(
        subject=rungs.subject(db, model),
        weights=base.digest,
        updates=base.updates,
        original=root.number,
        recipe=root.recipe,
        training=sorted(set(seen) - set(forgotten)),
        seen=seen,
        forgotten=forgotten,
        trials=trials(db, claim.job_id),
    )


def add(db: Session, claim: Claim, trial: Trial) -> bool:
    """Write down a try; has the tuning been withdrawn? Raises `LostClaim`."""
    job = jobs.assign(db, claim)
    trial.job_id = claim.job_id
    db.add(trial)
    return job.cancel_requested_at is not None


def finish(db: Session, claim: Claim, number: int, wanted: dict[str, Any]) -> Job:
    """All has been tried. Raises `LostClaim`.

    Args:
        number: of the best try. wanted: what the figures should have come to.
    """
    tried = trials(db, claim.job_id)
    best = tried[number]
    result = {
        "params": best.params,
        "gap": best.gap,
        "gap_of_defaults": tried[0].gap,
        "tries": len(tried),
        "seconds": round(sum(trial.seconds for trial in tried), 3),
        "target": wanted,
    }
    return jobs.finish(db, claim, result)


# ---- taken over ----------------------------------------------------------------------------------


def adopt(db: Session, model: Model, job: Job, actor: str) -> TunedParams:
    """Let the model take the best parameters wherever nobody names any.

    Raises:
        InvalidTransition: the tuning has not succeeded.
    """
    if job.status is not JobStatus.SUCCEEDED or job.result is None:
        state = "has not ended" if job.status not in JOB_ENDED else f"is {job.status}"
        raise InvalidTransition(f"The tuning {job.id} {state}.", status=job.status)
    assert job.method is not None
    row = db.merge(
        TunedParams(
            model_id=model.id, goal=goal_of(job), method=job.method,
            params=job.result["params"], job_id=job.id, created_at=now(),
        )
    )  # fmt: skip
    db.flush()
    events.append(
        db, "tuning.adopted", chain=model.id, actor=actor, job_id=job.id,
        goal=row.goal, method=row.method, params=row.params,
    )  # fmt: skip
    return row


def drop(db: Session, model: Model, goal: Goal, method: str, actor: str) -> None:
    """Take back what `adopt` did. Raises `NotFound`."""
    key = (TunedParams.model_id == model.id, TunedParams.goal == goal, TunedParams.method == method)
    if db.scalar(delete(TunedParams).where(*key).returning(TunedParams.method)) is None:
        raise NotFound(f"Nothing was adopted for {method} on the model {model.name!r}.")
    events.append(db, "tuning.dropped", chain=model.id, actor=actor, goal=goal, method=method)


def recipe_of(db: Session, model: Model) -> RecipeFile:
    """What has been adopted for a model, as a recipe file that others of its kind can use."""
    rows = db.execute(
        select(TunedParams, Job)
        .join(Job, Job.id == TunedParams.job_id)
        .where(TunedParams.model_id == model.id)
        .order_by(TunedParams.goal, TunedParams.method)
    )
    tuned: dict[Goal, dict[str, Tuned]] = {goal: {} for goal in Goal}
    for row, job in rows:
        result = job.result or {}
        found = {name: result[name] for name in ("gap", "gap_of_defaults", "tries")}
        found |= {name: job.task[name] for name in ("label", "size") if name in job.task}
        found["date"] = f"{row.created_at:%Y-%m-%d}"
        tuned[row.goal][row.method] = Tuned(params=row.params, found=found)
    dataset = db.get_one(Dataset, model.dataset_id)
    return RecipeFile(
        dataset=dataset.name,
        architecture=model.architecture,
        parameters=model.parameters,
        about=f"Tuned on the model {model.name}, on training and hold-out images.",
        tuned=tuned,
    )
