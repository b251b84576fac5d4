"""What the house keeps about itself: events, bytes, offers, workers, locks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models_store.columns import Base, Id, Serial, Stamp


class Event(Base):
    """What happened; chained by hash, refused to UPDATE and DELETE by a trigger."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "chain", "seq"), Index(None, "request_id", "seq"))

    seq: Mapped[int] = mapped_column(Serial, primary_key=True)
    chain: Mapped[str] = mapped_column(String(64))  # a model's id, or `house`
    request_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    actor: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(64))
    payload: Mapped[str] = mapped_column(Text)  # canonical JSON, RFC 8785
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class Blob(Base):
    """Bytes in the blob folder that some row owns."""

    __tablename__ = "blobs"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[Stamp]


class Tombstone(Base):
    """What was erased, and when."""

    __tablename__ = "tombstones"

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[str] = mapped_column(String(64))
    model_id: Mapped[UUID | None]
    number: Mapped[int | None]
    dataset_id: Mapped[UUID | None]
    erased_at: Mapped[Stamp]


class Offer(Base):
    """Something a worker can do, written down by it so that the door can check parameters."""

    __tablename__ = "offers"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)  # method, pruner, audit, net
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    about: Mapped[str] = mapped_column(Text)
    schema: Mapped[dict[str, Any]]
    traits: Mapped[dict[str, Any]] = mapped_column(default=dict)
    offered_at: Mapped[Stamp]

    @property
    def needs(self) -> list[str]:
        """What must be at hand."""
        return list(self.traits.get("needs", []))


class Worker(Base):
    """A worker process, as it last reported."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    queues: Mapped[list[Any]]
    device: Mapped[str] = mapped_column(String(100))
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    software: Mapped[dict[str, Any]] = mapped_column(default=dict)
    rates: Mapped[dict[str, Any]] = mapped_column(default=dict)  # empty until it is warm
    started_at: Mapped[Stamp]
    last_beat_at: Mapped[Stamp]
    stopped_at: Mapped[datetime | None]

    @property
    def state(self) -> str:
        """`warming` until it has measured something, then `ready`."""
        return "ready" if self.rates else "warming"


class Lock(Base):
    """A lease on a role, such as that of the relay's leader."""

    __tablename__ = "locks"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime]


class Secret(Base):
    """A key that the house made for itself and must keep (HMAC of erased identifiers)."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))
