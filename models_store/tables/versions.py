"""Models, their versions, and what audits found."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Id, Stamp, choice
from models_store.life import VersionState


class Model(Base):
    """A name, an architecture and a dataset; its weights are its versions."""

    __tablename__ = "models"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    architecture: Mapped[str] = mapped_column(String(200))
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), index=True)
    mean: Mapped[list[Any]]  # of each channel of pixels in [0, 1]
    std: Mapped[list[Any]]
    policy: Mapped[dict[str, Any]] = mapped_column(default=dict)
    next_version: Mapped[int] = mapped_column(default=1)
    row_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Stamp]


class Version(Base):
    """Immutable weights of a model, with where they come from."""

    __tablename__ = "versions"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "parent"], ["versions.model_id", "versions.number"]),
        Index("uq_versions_served", "model_id", unique=True,
              sqlite_where=text("state IN ('provisional', 'active')"),
              postgresql_where=text("state IN ('provisional', 'active')")),
    )  # fmt: skip

    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parent: Mapped[int | None]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    method: Mapped[str] = mapped_column(String(100))  # `import`, `train` or a method's name
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prune: Mapped[dict[str, Any] | None]  # by what it became sparse; its zeros stay in the line
    trained_on: Mapped[dict[str, Any]]  # {"splits": [...]} or {"listed": count}
    recipe: Mapped[dict[str, Any] | None]
    state: Mapped[VersionState] = mapped_column(choice(VersionState))
    assured: Mapped[bool] = mapped_column(default=False)  # passed its policy's gates
    scores: Mapped[str | None] = mapped_column(String(64))  # digest of the cached forward pass
    updates: Mapped[str | None] = mapped_column(String(64))  # digest of its training log
    provenance: Mapped[dict[str, Any]] = mapped_column(default=dict)
    row_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Stamp]
    superseded_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class VersionSample(Base):
    """A row that a version was trained on, where its `trained_on` is a list and not splits."""

    __tablename__ = "version_samples"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["versions.model_id", "versions.number"]),
    )

    model_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Audit(Base):
    """A report on one version; append-only."""

    __tablename__ = "audits"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["versions.model_id", "versions.number"]),
        Index(None, "model_id", "number"),
    )

    id: Mapped[Id]
    model_id: Mapped[UUID]
    number: Mapped[int]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), index=True)
    tier: Mapped[int]
    verdict: Mapped[str] = mapped_column(String(16))
    assurance: Mapped[str] = mapped_column(String(16))
    document: Mapped[dict[str, Any]]
    pages: Mapped[dict[str, Any]] = mapped_column(default=dict)  # media type -> digest
    created_at: Mapped[Stamp]


class AuditTest(Base):
    """One test of a report, for queries over many."""

    __tablename__ = "audit_tests"

    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audits.id"), primary_key=True)
    test: Mapped[str] = mapped_column(String(100), primary_key=True)
    estimate: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    before: Mapped[float | None]
    n: Mapped[int]
    gate: Mapped[str | None] = mapped_column(Text)
    verdict: Mapped[str | None] = mapped_column(String(16))
