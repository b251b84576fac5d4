"""Reference pools: models that are nobody's product, by which audits tell what is normal."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Id, Stamp, choice
from models_store.life import MemberKind, MemberState


class Pool(Base):
    """Nets trained alike on one dataset; every model that is built and trained so shares it."""

    __tablename__ = "pools"
    __table_args__ = (UniqueConstraint("dataset_id", "key"),)

    id: Mapped[Id]
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"))
    key: Mapped[str] = mapped_column(String(64))  # of the columns below and the training rows
    architecture: Mapped[str] = mapped_column(String(200))
    parameters: Mapped[dict[str, Any]]
    mean: Mapped[list[Any]]
    std: Mapped[list[Any]]
    recipe: Mapped[dict[str, Any]]
    created_at: Mapped[Stamp]


class PoolMember(Base):
    """One trained net of a pool, by what is kept of it."""

    __tablename__ = "pool_members"
    __table_args__ = (Index(None, "pool_id", "state"),)

    id: Mapped[Id]
    pool_id: Mapped[UUID] = mapped_column(ForeignKey("pools.id"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    kind: Mapped[MemberKind] = mapped_column(choice(MemberKind))
    label: Mapped[int | None]  # of a retrain: the class it was trained without
    draw: Mapped[int]  # two halves of one draw are each other's complement
    seed: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[MemberState] = mapped_column(choice(MemberState), default=MemberState.READY)
    trained: Mapped[bytes] = mapped_column(LargeBinary)  # a bit a row of the dataset, low bit first
    scores: Mapped[str] = mapped_column(
        String(64)
    )  # digest: margins of a half, scores of a retrain
    weights: Mapped[str | None] = mapped_column(String(64))  # digest, of a retrain only
    provenance: Mapped[dict[str, Any]]
    created_at: Mapped[Stamp]
    retired_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
