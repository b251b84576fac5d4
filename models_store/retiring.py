"""Members of reference pools that have seen what had to be forgotten: retired, then erased."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models_store import erasure, events
from models_store.columns import now
from models_store.life import REQUEST_OPEN, MemberState, RequestStatus
from models_store.tables import (
    Blob,
    ForgetRequest,
    Pool,
    PoolMember,
    RequestSample,
    Sample,
)


def saw(member: PoolMember, positions: Sequence[int]) -> bool:
    """Was the member trained on any of these rows?"""
    return any(member.trained[row >> 3] >> (row & 7) & 1 for row in positions)


def of_dataset(db: Session, dataset_id: UUID, *states: MemberState) -> list[PoolMember]:
    """The members of all pools of a dataset that are in one of these states."""
    return list(
        db.scalars(
            select(PoolMember)
            .join(Pool, Pool.id == PoolMember.pool_id)
            .where(Pool.dataset_id == dataset_id, PoolMember.state.in_(states))
            .order_by(PoolMember.id)
        )
    )


def naming() -> Select[UUID]:
    """The requests that name the sample of the query around."""
    return (
        select(RequestSample.request_id)
        .join(ForgetRequest, ForgetRequest.id == RequestSample.request_id)
        .where(
            RequestSample.dataset_id == Sample.dataset_id,
            RequestSample.position == Sample.position,
        )
        .correlate(Sample)
    )


def settled(dataset_id: UUID) -> Select[int]:
    """Rows that a request has succeeded in having forgotten and that no open request names."""
    return select(Sample.position).where(
        Sample.dataset_id == dataset_id,
        Sample.forgotten_by.is_not(None),
        naming().where(ForgetRequest.status == RequestStatus.SUCCEEDED).exists(),
        ~naming().where(ForgetRequest.status.in_(REQUEST_OPEN)).exists(),
    )


def to_retire(db: Session, dataset_id: UUID) -> list[PoolMember]:
    """Members that audits still use though they saw settled rows."""
    ready = of_dataset(db, dataset_id, MemberState.READY)
    rows = db.scalars(settled(dataset_id)).all() if ready else []
    return [member for member in ready if saw(member, rows)]


def retire(db: Session, dataset_id: UUID) -> int:
    """Take every member that saw settled rows out of new audits; how many were taken."""
    found = to_retire(db, dataset_id)
    for member in found:
        member.state, member.retired_at = MemberState.RETIRED, events.moment(db)
        events.append(db, "pool.member_retired", pool=str(member.pool_id), member=str(member.id))
    return len(found)


def remembering(db: Session) -> list[dict[str, Any]]:
    """Members whose bytes are there and that saw settled rows: what `doctor` has to tell."""
    found = []
    for dataset_id in db.scalars(select(Pool.dataset_id).distinct()):
        rows = db.scalars(settled(dataset_id)).all()
        alive = of_dataset(db, dataset_id, MemberState.READY, MemberState.RETIRED)
        found += [
            {"pool": str(each.pool_id), "member": str(each.id), "state": each.state}
            for each in alive
            if saw(each, rows)
        ]
    return found


def erasable(db: Session, dataset_id: UUID, grace: timedelta) -> list[PoolMember]:
    """Members that were retired longer ago than the grace."""
    old = PoolMember.retired_at < now(-grace)
    return list(
        db.scalars(
            select(PoolMember)
            .join(Pool, Pool.id == PoolMember.pool_id)
            .where(Pool.dataset_id == dataset_id, PoolMember.state == MemberState.RETIRED, old)
            .order_by(PoolMember.id)
        )
    )


def erase(db: Session, dataset_id: UUID, member: PoolMember) -> list[str]:
    """Record that a member is gone; the digests to drop once this is committed."""
    member.state, member.erased_at = MemberState.ERASED, events.moment(db)
    db.flush()
    digests = [digest for digest in (member.scores, member.weights) if digest is not None]
    events.append(db, "pool.member_erased", pool=str(member.pool_id), member=str(member.id))
    return [
        gone
        for digest in digests
        for gone in erasure.bury(db, digest, "reference", dataset_id=dataset_id)
    ]


def replace_scores(db: Session, dataset_id: UUID, member: PoolMember, kept: Blob) -> list[str]:
    """Switch a member's table to a copy without erased rows; what to drop after that."""
    old = member.scores
    db.merge(kept)
    member.scores = kept.digest
    return erasure.bury(db, old, "reference", dataset_id=dataset_id)
