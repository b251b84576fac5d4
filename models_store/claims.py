"""A job in somebody's hands, and what a heartbeat may bring back."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists
from sqlalchemy.orm import aliased

from models_store.life import JobKind, JobStatus
from models_store.tables import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job in the hands of one attempt; `attempt` is the fencing token."""

    job_id: UUID
    attempt: int
    kind: JobKind
    worker: str
    model_id: UUID | None
    dataset_id: UUID | None
    base_version: int | None
    seed: int
    task: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] | None = None


class Signal(StrEnum):
    """What a heartbeat brings back."""

    GO_ON = "go_on"
    CANCEL = "cancel"
    GIVE_WAY = "give_way"


def claimable() -> ColumnElement[bool]:
    """Queued, and not held up by another forget job that runs on the same model."""
    other = aliased(Job)
    busy = exists().where(
        Job.kind == JobKind.FORGET,
        other.model_id == Job.model_id,
        other.kind == JobKind.FORGET,
        other.status == JobStatus.RUNNING,
    )
    return and_(Job.status == JobStatus.QUEUED, ~busy)
