"""Versions of a model: where each comes from, what it has forgotten, and which one is served."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models_store import events, lineage, registry
from models_store.blobs import Blobs
from models_store.columns import now
from models_store.errors import InvalidTransition, NotFound, RemembersErased, VersionRevoked
from models_store.life import SERVED, VERSION_NEXT, VersionState, before
from models_store.tables import (
    Blob,
    Model,
    Version,
)


def reserve(model: Model, task: dict[str, Any]) -> int:
    """The number of the version that a job will make; the model's row must be locked.

    A later attempt at the same job finds its number in the task; a job that fails leaves a gap.
    """
    if "number" in task:
        return int(task["number"])
    model.next_version += 1
    return model.next_version - 1


def add(
    db: Session,
    model: Model,
    number: int,
    *,
    kept: Blob,
    method: str,
    state: VersionState,
    **columns: Any,
) -> Version:
    """Write down a version under its reserved number."""
    db.merge(kept)
    version = Version(
        model_id=model.id,
        number=number,
        digest=kept.digest,
        size=kept.size,
        method=method,
        state=state,
        **columns,
    )
    db.add(version)
    db.flush()
    db.refresh(version)
    return version


def get(db: Session, model_id: UUID, which: str) -> Version:
    """By number, `active` (what is served) or `latest`. Raises `NotFound`."""
    query = select(Version).where(Version.model_id == model_id)
    if which == "active":
        query = query.where(Version.state.in_(SERVED))
    elif which == "latest":
        query = query.order_by(Version.number.desc()).limit(1)
    elif which.isdecimal() and len(which) < 10:
        query = query.where(Version.number == int(which))
    else:
        raise NotFound(f"{which!r} is no version: give a number, `active` or `latest`.")
    found = db.scalar(query)
    if found is None:
        raise NotFound(f"The model has no version {which!r}.")
    return found


def served(db: Session, model_id: UUID) -> Version | None:
    """The version that `active` stands for."""
    return db.scalar(select(Version).where(Version.model_id == model_id, Version.state.in_(SERVED)))


def page(db: Session, model_id: UUID, after: int | None, limit: int) -> list[Version]:
    """Newest first."""
    query = select(Version).where(Version.model_id == model_id)
    query = query.order_by(Version.number.desc()).limit(limit)
    return list(db.scalars(query.where(Version.number < after) if after else query))


def move(db: Session, version: Version, state: VersionState, **columns: Any) -> None:
    """Take one step of `life.VERSION_NEXT`, or raise `InvalidTransition`."""
    moved = db.scalar(
        update(Version)
        .where(
            Version.model_id == version.model_id,
            Version.number == version.number,
            Version.state.in_(before(VERSION_NEXT, state)),
        )
        .values(state=state, row_version=Version.row_version + 1, **columns)
        .returning(Version.number)
    )
    if moved is None:
        raise InvalidTransition(f"A version that is {version.state} cannot become {state}.")
    db.refresh(version)


def serve(db: Session, version: Version, state: VersionState) -> None:
    """Serve this version, in place of the one that is served now."""
    old = served(db, version.model_id)
    if old is not None and old.number != version.number:
        move(db, old, VersionState.SUPERSEDED, superseded_at=now())
    move(db, version, state, superseded_at=None)


# ---- rollback and revocation ---------------------------------------------------------------------


def promote(db: Session, model: Model, version: Version, actor: str) -> None:
    """Serve an older version again, unless it remembers what has been erased since.

    Raises:
        RemembersErased: it does; `requests` names them, `newest_clean` a version that does not.
        InvalidTransition: it is not a superseded version.
    """
    registry.locked(db, model.id)
    db.refresh(version)
    if version.state in SERVED:
        return
    if unmet := lineage.remembered(db, version):
        clean = newest_clean(db, model.id)
        raise RemembersErased(
            f"Version {version.number} remembers data that {len(unmet)} request(s) have had "
            f"erased and may not be served"
            + (f"; version {clean} is clean." if clean else ", and no clean version exists yet."),
            requests=[str(request) for request in unmet[:100]],
            newest_clean=clean,
        )
    serve(db, version, VersionState.ACTIVE)
    events.append(db, "version.promoted", chain=model.id, actor=actor, number=version.number)


def revoke(db: Session, model: Model, version: Version, actor: str) -> None:
    """Withdraw a superseded version: from now on its weights are refused."""
    move(db, version, VersionState.REVOKED, revoked_at=now())
    events.append(db, "version.revoked", chain=model.id, actor=actor, number=version.number)


def set_aside(db: Session, model_id: UUID, damaged: str, blobs: Blobs) -> Version | None:
    """What is served has damaged bytes: quarantine it, and serve the newest good version instead.

    Good is what has whole bytes and takes back nothing that the served one had forgotten. None,
    and nothing has changed, where these are not its bytes or no good version is there.
    """
    model = registry.locked(db, model_id)
    old = served(db, model.id)
    if old is None or old.digest != damaged:
        return None
    older = select(Version).where(
        Version.model_id == model.id, Version.state == VersionState.SUPERSEDED
    )
    known = set(lineage.remembered(db, old))
    for version in db.scalars(older.order_by(Version.number.desc())).all():
        if known.issuperset(lineage.remembered(db, version)) and blobs.whole(version.digest):
            move(db, old, VersionState.QUARANTINED, superseded_at=now())
            serve(db, version, VersionState.ACTIVE)
            events.append(
                db, "version.damaged", chain=model.id, number=old.number, digest=damaged,
                successor=version.number,
            )  # fmt: skip
            return version
    return None


def newest_clean(db: Session, model_id: UUID) -> int | None:
    """The newest version that may be served and remembers nothing that should be forgotten."""
    states = (*SERVED, VersionState.SUPERSEDED)
    rows: Sequence[Version] = db.scalars(
        select(Version)
        .where(Version.model_id == model_id, Version.state.in_(states))
        .order_by(Version.number.desc())
    ).all()
    return next((v.number for v in rows if not lineage.remembered(db, v)), None)


def downloadable(db: Session, version: Version) -> Version:
    """The version, unless it has been withdrawn. Raises `VersionRevoked`, `InvalidTransition`."""
    gone = (VersionState.REVOKED, VersionState.ERASED)
    if version.state in gone:
        successor = newest_clean(db, version.model_id)
        raise VersionRevoked(
            f"Version {version.number} has been {version.state}, since it remembers erased data"
            + (f"; use version {successor}." if successor else "."),
            successor=successor,
        )
    if version.state is VersionState.QUARANTINED:
        raise VersionRevoked(f"Version {version.number} failed its audit and is not given out.")
    return version
