"""Certificates of methods, and what the shadows of one that is being decided have shown so far."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Id, Stamp, choice
from models_store.life import Goal, Grant


class Certificate(Base):
    """What tier 2 says of a method; until its job has ended, what it has been asked."""

    __tablename__ = "method_certificates"
    __table_args__ = (
        CheckConstraint(
            "verdict IS NULL OR verdict <> 'granted' OR expires_at IS NOT NULL", name="expires"
        ),
        Index(None, "dataset_id", "key", "method"),
    )

    id: Mapped[Id]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), unique=True)
    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), index=True)  # that ordered it
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"))
    key: Mapped[str] = mapped_column(String(64))  # of net, normalisation, recipe, training rows
    architecture: Mapped[str] = mapped_column(String(200))
    method: Mapped[str] = mapped_column(String(100))
    params: Mapped[dict[str, Any]]  # with the method's defaults
    goal: Mapped[Goal] = mapped_column(choice(Goal))
    size: Mapped[int]  # the largest forget set: samples, or classes at once
    shadows: Mapped[int]
    verdict: Mapped[Grant | None] = mapped_column(choice(Grant))
    reason: Mapped[str | None] = mapped_column(Text)
    figures: Mapped[list[Any] | None]
    trained: Mapped[int | None]  # rows that shadows were trained on, and so drew from
    software: Mapped[str | None] = mapped_column(String(100))  # version of lethe
    attempt: Mapped[int | None]
    created_at: Mapped[Stamp]
    granted_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class Shadow(Base):
    """What one shadow said of the rows planted in it; gone when its job has ended."""

    __tablename__ = "shadows"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 0
    said: Mapped[str] = mapped_column(String(64))  # digest
    seconds: Mapped[float]
    created_at: Mapped[Stamp]
