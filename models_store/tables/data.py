"""Datasets: images that models were trained on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Id, Stamp, choice
from models_store.life import DatasetState


class Dataset(Base):
    """Images that models were trained on, packed once."""

    __tablename__ = "datasets"
    __table_args__ = (
        Index("uq_datasets_ready_name", "name", unique=True, sqlite_where=text("state = 'ready'"),
              postgresql_where=text("state = 'ready'")),
        Index("uq_datasets_ready_fingerprint", "fingerprint", unique=True,
              sqlite_where=text("state = 'ready'"), postgresql_where=text("state = 'ready'")),
    )  # fmt: skip

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[DatasetState] = mapped_column(
        choice(DatasetState), default=DatasetState.IMPORTING
    )
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    class_names: Mapped[list[Any]] = mapped_column(default=list)
    shape: Mapped[list[Any]] = mapped_column(default=list)  # height, width, channels
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # samples by split
    same_as: Mapped[UUID | None] = mapped_column(ForeignKey("datasets.id"))
    row_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Stamp]


class Shard(Base):
    """A file of packed pixels: rows `first` to `first + count - 1` of the dataset."""

    __tablename__ = "shards"

    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(64))
    first: Mapped[int]
    count: Mapped[int]


class Sample(Base):
    """One image. After its erasure, `sample_id` and `subject` are keyed hashes."""

    __tablename__ = "samples"
    __table_args__ = (
        UniqueConstraint("dataset_id", "position"),
        Index(None, "dataset_id", "subject", "position"),  # a page of either without sorting
        Index(None, "dataset_id", "label", "position"),
        Index(None, "dataset_id", "forgotten_by"),
    )

    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    sample_id: Mapped[str] = mapped_column(String(500), primary_key=True)
    position: Mapped[int]  # row of the dataset; the shards say in which file it lies
    label: Mapped[int]
    split: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str | None] = mapped_column(String(500))
    forgotten_by: Mapped[UUID | None]  # the first request that named it and was not withdrawn
    withdrawn_at: Mapped[datetime | None]  # since then it is read no more, and waits to be erased
    erased_at: Mapped[datetime | None]
