"""Reference pools: ordered, built member by member, and found for the models that share them."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import rfc8785
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models_store import datasets, events, jobs, lineage, registry, rungs, targets, versions
from models_store.claims import Claim
from models_store.errors import NoRecipe, NotFound, NotReady
from models_store.life import JOB_ENDED, JobKind, MemberKind, MemberState, Queue
from models_store.rungs import Subject
from models_store.tables import Blob, Dataset, Job, Model, Pool, PoolMember, Sample, Version

LEAST = 6
"""Halves that must be ready before an audit leans on a pool: three that did not see an image."""

ORIGIN = ("architecture", "parameters", "mean", "std")
"""What of a model says to which pool it belongs, beside its dataset, recipe and training rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrains:
    """So many nets trained without a class, by its number or name."""

    label: int | str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a pool job finds each time it turns to another member; rows ascending."""

    subject: Subject
    pool_id: UUID
    recipe: dict[str, Any]
    training: list[int]
    """What the model's line was trained on."""
    forgotten: list[int]
    """What anybody has had forgotten: no member is trained on it."""
    erased: list[int]
    """Rows without pixels: nothing can be said of them."""
    halves: list[PoolMember]
    """Those that are ready."""
    retrains: list[PoolMember]
    serial: int
    """How many members the pool has ever had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A member whose blobs are written."""

    kind: MemberKind
    label: int | None
    draw: int
    seed: int
    trained: bytes
    scores: Blob
    weights: Blob | None
    provenance: dict[str, Any]


# ---- which pool -----------------------------------------------------------------------------------


def root_of(db: Session, model: Model) -> Version:
    """The version that the served line began with. Raises `NotReady`."""
    served = versions.served(db, model.id)
    if served is None:
        raise NotReady(f"The model {model.name!r} serves no version yet.")
    return lineage.line(db, served)[-1]


def key_of(db: Session, model: Model, root: Version) -> str:
    """What all models have in common that are built as this one and trained as `root` was."""
    origin = {name: getattr(model, name) for name in ORIGIN} | {
        "recipe": root.recipe,
        "trained_on": lineage.origin(db, root, model.dataset_id),
    }
    return hashlib.sha256(rfc8785.dumps(origin)).hexdigest()


def find(db: Session, model: Model, root: Version) -> Pool | None:
    """The pool for nets of this model trained as `root` was: by its recipe, on its rows."""
    if root.recipe is None:
        return None
    key = key_of(db, model, root)
    return db.scalar(select(Pool).where(Pool.dataset_id == model.dataset_id, Pool.key == key))


def of_model(db: Session, model: Model) -> Pool:
    """The pool of the line that a model serves. Raises `NotReady`, `NotFound`."""
    pool = find(db, model, root_of(db, model))
    if pool is None:
        raise NotFound(f"The model {model.name!r} has no reference pool yet.")
    return pool


def is_usable(db: Session, model: Model, root: Version) -> bool:
    """Has the line that began with `root` a pool with enough halves to lean on?"""
    pool = find(db, model, root)
    return pool is not None and ready(members(db, pool.id))["halves"] >= LEAST


def members(db: Session, pool_id: UUID, *states: MemberState) -> list[PoolMember]:
    """In the order in which they were built; of all states where none is named."""
    query = select(PoolMember).where(PoolMember.pool_id == pool_id).order_by(PoolMember.id)
    return list(db.scalars(query.where(PoolMember.state.in_(states)) if states else query))


def ready(found: Sequence[PoolMember]) -> dict[str, Any]:
    """How many `halves` are ready, and how many `retrains` by the class they have not seen."""
    there = [member for member in found if member.state is MemberState.READY]
    return {
        "halves": sum(member.kind is MemberKind.HALF for member in there),
        "retrains": dict(Counter(m.label for m in there if m.kind is MemberKind.RETRAIN)),
    }


def builds(db: Session, pool: Pool) -> list[Job]:
    """All jobs that built, or are to build, a pool; in the order in which they were ordered."""
    ordered = select(Job).where(Job.kind == JobKind.POOL, Job.dataset_id == pool.dataset_id)
    found = db.scalars(ordered.order_by(Job.id))
    return [job for job in found if job.task["pool"] == str(pool.id)]


def building(db: Session, pool: Pool) -> Job | None:
    """The job that builds a pool, while it has not ended."""
    return next((job for job in builds(db, pool) if job.status not in JOB_ENDED), None)


# ---- building -------------------------------------------------------------------------------------


def order(
    db: Session,
    model: Model,
    size: int,
    retrains: Sequence[Retrains],
    actor: str,
    queue: Queue = Queue.EXACT,
) -> Job:
    """Have a pool brought to `size` halves and so many retrains; the job that does it.

    Raises:
        NotReady: the model serves no version, or a build is on its way.
        NoRecipe: it is not known how the served line was trained.
        UnknownSamples: the dataset has no such class.
    """
    root = root_of(db, model)
    if root.recipe is None:
        raise NoRecipe(
            f"The reference models of {model.name!r} are trained as it was, but the version that "
            "it serves goes back to weights that were registered without their recipe."
        )
    pool = _made(db, model, root)
    if (other := building(db, pool)) is not None:
        raise NotReady(f"The job {other.id} is building this pool.", job=str(other.id))
    dataset = db.get_one(Dataset, model.dataset_id)
    without = [{"label": targets.label_of(dataset, r.label), "size": r.size} for r in retrains]
    job = jobs.open_job(
        db, JobKind.POOL, queue,
        task={"pool": str(pool.id), "size": size, "retrains": without},
        model_id=model.id, dataset_id=model.dataset_id,
    )  # fmt: skip
    events.append(
        db, "pool.ordered", chain=model.id, actor=actor, job_id=job.id,
        pool=str(pool.id), size=size, retrains=without,
    )  # fmt: skip
    return job


def _made(db: Session, model: Model, root: Version) -> Pool:
    """The pool, found or made; its row stays locked, so that one build is ordered at a time."""
    assert root.recipe is not None
    key = key_of(db, model, root)
    fresh = Pool(
        dataset_id=model.dataset_id, key=key, recipe=root.recipe,
        **{name: getattr(model, name) for name in ORIGIN},
    )  # fmt: skip
    try:
        with db.begin_nested():
            db.add(fresh)
    except IntegrityError:
        pass
    mine = (Pool.dataset_id == model.dataset_id) & (Pool.key == key)
    return db.scalars(select(Pool).where(mine).with_for_update()).one()


def begin(db: Session, claim: Claim) -> Build:
    """What stands of the pool that a claimed job builds, and what its members may be shown."""
    assert claim.model_id is not None
    model = registry.get(db, str(claim.model_id))
    pool = db.get_one(Pool, UUID(claim.task["pool"]))
    there = members(db, pool.id, MemberState.READY)
    ever = select(func.count()).where(PoolMember.pool_id == pool.id)
    return Build(
        subject=rungs.subject(db, model),
        pool_id=pool.id,
        recipe=pool.recipe,
        training=lineage.training_rows(db, root_of(db, model), model.dataset_id),
        forgotten=datasets.forgotten(db, model.dataset_id),
        erased=erased(db, model.dataset_id),
        halves=[member for member in there if member.kind is MemberKind.HALF],
        retrains=[member for member in there if member.kind is MemberKind.RETRAIN],
        serial=db.scalar(ever) or 0,
    )


def add(db: Session, claim: Claim, build: Build, built: Built) -> PoolMember:
    """Write down a member whose blobs lie in the folder. Raises `LostClaim`."""
    jobs.assign(db, claim)
    for blob in filter(None, (built.scores, built.weights)):
        db.merge(blob)
    member = PoolMember(
        pool_id=build.pool_id,
        job_id=claim.job_id,
        kind=built.kind,
        label=built.label,
        draw=built.draw,
        seed=built.seed,
        trained=built.trained,
        scores=built.scores.digest,
        weights=built.weights.digest if built.weights else None,
        provenance=built.provenance,
    )
    db.add(member)
    db.flush()
    events.append(
        db, "pool.member_built", chain=claim.model_id, actor=claim.worker, job_id=claim.job_id,
        pool=str(build.pool_id), member=str(member.id), kind=built.kind, label=built.label,
    )  # fmt: skip
    return member


def erased(db: Session, dataset_id: UUID) -> list[int]:
    """Positions of samples whose pixels have been overwritten, ascending."""
    gone: ColumnElement[bool] = Sample.erased_at.is_not(None)
    rows = select(Sample.position).where(Sample.dataset_id == dataset_id, gone)
    return list(db.scalars(rows.order_by(Sample.position)))
