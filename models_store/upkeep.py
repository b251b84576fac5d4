"""Reference pools that requests have worn out are ordered again, where the policy says so."""

from collections import Counter
from contextlib import suppress
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from models_store import pools, registry, retention
from models_store.errors import NotFound, NotReady
from models_store.life import JOB_ENDED, MemberState, Queue
from models_store.pools import Retrains
from models_store.tables import Job, Model, Pool, PoolMember, Sample

ACTOR = "lethe"


def worn(db: Session) -> list[UUID]:
    """Models whose pool is due to be built again; it only reads.

    Whoever ordered the last build decides whether there will be another.
    """
    builds = [_to_follow(db, pool) for pool in db.scalars(select(Pool))]
    owners = {db.get_one(Model, last.model_id) for last in builds if last is not None}
    return sorted(model.id for model in owners if _due(db, model))


def rebuild(db: Session, model_id: UUID) -> Job | None:
    """Order what is due for this model; None if it no longer is. Of two callers one orders."""
    model = registry.locked(db, model_id)
    due = _due(db, model)
    if due is None:
        return None
    size, retrains = due
    return pools.order(db, model, size, retrains, ACTOR, Queue.QUALITY)


def _due(db: Session, model: Model) -> tuple[int, list[Retrains]] | None:
    """The halves and retrains to order."""
    wanted, pool = registry.policy_of(model).pool, None
    if wanted.rebuild != "never":
        with suppress(NotReady, NotFound):
            pool = pools.of_model(db, model)
    if pool is None or _to_follow(db, pool) is None:
        return None
    builds = pools.builds(db, pool)
    ready = pools.ready(pools.members(db, pool.id, MemberState.READY))
    size = _most_halves(builds) if wanted.size is None else wanted.size
    lacking = size > ready["halves"] and ready["halves"] < pools.LEAST
    retrains = _lost(db, model, builds, ready["retrains"]) if wanted.rebuild == "all" else []
    return (size if lacking else 0, retrains) if lacking or retrains else None


def _to_follow(db: Session, pool: Pool) -> Job | None:
    """The last build of a pool, if it has ended, members have retired since, and the way is free.

    So a build that failed, or that somebody cancelled, is not ordered over and over. What is to be
    erased goes first, for that waits for builds.
    """
    last = next(reversed(pools.builds(db, pool)), None)
    if last is None or last.status not in JOB_ENDED or retention.is_erasing(db, pool.dataset_id):
        return None
    retired = exists().where(PoolMember.pool_id == pool.id, PoolMember.retired_at > last.created_at)
    return last if db.scalar(select(retired)) else None


def _most_halves(builds: list[Job]) -> int:
    """The largest size that anybody has ordered."""
    return max(int(job.task["size"]) for job in builds)


def _lost(db: Session, model: Model, builds: list[Job], ready: dict[int, int]) -> list[Retrains]:
    """Retrains that were ordered once and are not ready, of classes that may yet be named."""
    most: Counter[int] = Counter()
    for job in builds:
        most |= Counter({each["label"]: each["size"] for each in job.task["retrains"]})
    left = select(Sample.label).where(
        Sample.dataset_id == model.dataset_id, Sample.forgotten_by.is_(None)
    )
    alive = set(db.scalars(left.distinct()))
    return [
        Retrains(label=label, size=size)
        for label, size in sorted(most.items())
        if label in alive and ready.get(label, 0) < size
    ]
