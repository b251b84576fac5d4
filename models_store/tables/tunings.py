"""Tunings: what was tried on a model, and the parameters that were taken over for it."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Stamp, choice
from models_store.life import Goal


class Trial(Base):
    """One try of a tuning job."""

    __tablename__ = "trials"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 0
    params: Mapped[dict[str, Any]]  # what differs from the method's defaults
    figures: Mapped[dict[str, Any]]
    gap: Mapped[float]  # mean distance of the figures from their targets
    seconds: Mapped[float]
    created_at: Mapped[Stamp]


class TunedParams(Base):
    """What a method takes on a model where nobody names parameters."""

    __tablename__ = "tuned_params"

    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), primary_key=True)
    goal: Mapped[Goal] = mapped_column(choice(Goal), primary_key=True)
    method: Mapped[str] = mapped_column(String(100), primary_key=True)
    params: Mapped[dict[str, Any]]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))  # the tuning
    created_at: Mapped[Stamp]
