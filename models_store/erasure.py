"""Erasing: each row changes first, and says by a tombstone which bytes are to go."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.orm import Session

from models_store import events, keys, versions
from models_store.columns import among, now
from models_store.life import MemberState, VersionState
from models_store.tables import (
    Blob,
    Job,
    Model,
    PoolMember,
    Sample,
    Shadow,
    Shard,
    Tombstone,
    Version,
)


def erase_version(db: Session, version: Version) -> list[str]:
    """Record that a version is gone; the digests to drop once this is committed.

    Digests that another row still owns are left out. Weights, cached scores, the training log and
    the checkpoint of the job that made the version each get a tombstone.
    """
    maker = db.get(Job, version.job_id) if version.job_id else None
    digests = {version.digest: "weights"}
    if version.scores is not None:
        digests[version.scores] = "scores"
    if version.updates is not None:
        digests[version.updates] = "updates"
    if maker is not None and maker.checkpoint is not None:
        digests[maker.checkpoint["digest"]] = "checkpoint"
        maker.checkpoint = None
    version.scores = version.updates = None
    versions.move(db, version, VersionState.ERASED, erased_at=now())
    for digest, what in digests.items():
        bury(db, digest, what, model_id=version.model_id, number=version.number)
    events.append(
        db, "version.erased", chain=version.model_id, number=version.number,
        digest=version.digest,
    )  # fmt: skip
    db.flush()
    return [digest for digest in digests if not owned(db, digest)]


def owned(db: Session, digest: str) -> bool:
    """Does a version or pool member that is not erased, a shard or a shadow still need these bytes?"""
    by_version = exists().where(
        or_(
            (Version.digest == digest) & (Version.state != VersionState.ERASED),
            Version.scores == digest,
            Version.updates == digest,
        )
    )
    by_member = exists().where(
        or_(PoolMember.scores == digest, PoolMember.weights == digest),
        PoolMember.state != MemberState.ERASED,
    )
    by_shard = exists().where(Shard.digest == digest)
    by_shadow = exists().where(Shadow.said == digest)
    return bool(db.scalar(select(or_(by_version, by_member, by_shard, by_shadow))))


def replace_shard(db: Session, shard: Shard, kept: Blob, rows: Sequence[int]) -> list[str]:
    """Switch a shard to its rewritten copy and hash the identities of its erased rows.

    Args:
        rows: positions within the dataset, all in this shard.

    Returns:
        The digest of the old file, to drop once this is committed; none if it has another owner.
    """
    old = shard.digest
    db.merge(kept)
    shard.digest = kept.digest
    _hash_identities(db, shard.dataset_id, rows)
    events.append(
        db, "samples.erased", dataset=str(shard.dataset_id), shard=shard.number, count=len(rows)
    )
    return bury(db, old, "pixels", dataset_id=shard.dataset_id)


def _hash_identities(db: Session, dataset_id: UUID, rows: Sequence[int]) -> None:
    dialect = db.get_bind().dialect.name
    named = select(Sample.position, Sample.sample_id, Sample.subject).where(
        Sample.dataset_id == dataset_id, among(Sample.position, rows, dialect)
    )
    for position, sample_id, subject in db.execute(named).all():
        db.execute(
            update(Sample)
            .where(Sample.dataset_id == dataset_id, Sample.position == position)
            .values(
                sample_id=keys.hashed(db, sample_id),
                subject=keys.hashed(db, subject) if subject is not None else None,
                erased_at=now(),
            )
            .execution_options(synchronize_session=False)
        )


def scored(db: Session, dataset_id: UUID) -> list[Version]:
    """Versions of all models of a dataset that keep cached scores."""
    mine = select(Version).join(Model, Model.id == Version.model_id)
    return list(db.scalars(mine.where(Model.dataset_id == dataset_id, Version.scores.is_not(None))))


def replace_scores(db: Session, version: Version, kept: Blob) -> list[str]:
    """Switch a version's cached scores to a copy without erased rows; what to drop after that."""
    old = version.scores
    assert old is not None
    db.merge(kept)
    version.scores = kept.digest
    return bury(db, old, "scores", model_id=version.model_id, number=version.number)


def bury(db: Session, digest: str, what: str, **of: Any) -> list[str]:
    """Set a tombstone for bytes that a row has just let go.

    Args:
        of: the columns of the tombstone that say whose they were.

    Returns:
        The digest, to drop once this is committed; nothing if another row still owns the bytes.
    """
    blob = db.get(Blob, digest)
    db.add(Tombstone(digest=digest, size=blob.size if blob else 0, what=what, **of))
    db.flush()
    if owned(db, digest):
        return []
    db.execute(delete(Blob).where(Blob.digest == digest))
    return [digest]


def left_behind(db: Session, model: Model) -> list[str]:
    """Digests with a tombstone that no row owns: bytes of an erasure that a crash cut short."""
    mine = or_(Tombstone.model_id == model.id, Tombstone.dataset_id == model.dataset_id)
    digests = db.scalars(select(Tombstone.digest).where(mine).distinct())
    return [digest for digest in digests if not owned(db, digest)]
