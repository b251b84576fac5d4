"""What happened, in a chain of hashes: one chain a model, one for the house."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import rfc8785
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from models_store.columns import now, table
from models_store.tables import Event

HOUSE = "house"
GENESIS = "0" * 64
NOW = "now"


_CLOCK = select(now())
_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("chain"), 0)))
HEAD = (
    now().label("at"),
    select(Event.hash)
    .where(Event.chain == bindparam("chain"))
    .order_by(Event.seq.desc())
    .limit(1)
    .scalar_subquery()
    .label("last"),
)
"""The time, and the hash of a chain's last event, in a statement that comes after its lock."""
_LAST = select(*HEAD)
_ADD = insert(table(Event)).inline()
"""Each put together once: every transition asks them."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a link of a chain tells."""

    type: str
    actor: str = "lethe"
    request_id: UUID | None = None
    job_id: UUID | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def append(
    db: Session,
    type: str,  # noqa: A002 - the word of the record
    *,
    chain: UUID | None = None,
    actor: str = "lethe",
    request_id: UUID | None = None,
    job_id: UUID | None = None,
    **facts: Any,
) -> None:
    """Add a link to a model's chain (or the house's), in the transaction of what it tells."""
    add(db, chain, [Told(type, actor, request_id, job_id, facts)])


def add(db: Session, chain: UUID | None, told: Sequence[Told]) -> None:
    """Add links one after the other, in one statement."""
    name = str(chain) if chain else HOUSE
    db.flush()
    last, at = _hold(db, name), moment(db).isoformat()
    rows: list[dict[str, Any]] = []
    for each in told:
        before, body = last, _payload(each, at)
        last = link(before, body)
        rows.append({
            "chain": name, "type": each.type, "actor": each.actor, "payload": body,
            "request_id": each.request_id, "job_id": each.job_id,
            "prev_hash": before, "hash": last,
        })  # fmt: skip
    db.execute(_ADD, rows)
    _known(db)[name] = db.get_nested_transaction(), last


def _payload(told: Told, at: str) -> str:
    payload = {
        **told.facts,
        "type": told.type,
        "actor": told.actor,
        "at": at,
        "request": str(told.request_id) if told.request_id else None,
        "job": str(told.job_id) if told.job_id else None,
    }
    return rfc8785.dumps(payload).decode()


def _hold(db: Session, name: str) -> str:
    """The hash of a chain's last event; the chain is ours until the end of the transaction."""
    savepoint, last = _known(db).get(name, (None, ""))
    if last and savepoint in (None, db.get_nested_transaction()):
        return str(last)  # one that a savepoint has seen may be gone with it, as may the lock
    if db.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer anyway
        db.execute(_LOCK, {"chain": name})
    return held(db, name, *db.execute(_LAST, {"chain": name}).one())


def held(db: Session, name: str, at: datetime, last: str | None) -> str:
    """Remember the `HEAD` of a chain that this transaction has locked; its last hash."""
    known = _known(db)
    known.setdefault(NOW, at)
    known[name] = db.get_nested_transaction(), last or GENESIS
    return last or GENESIS


def moment(db: Session) -> datetime:
    """When this transaction took place: what the only clock that counts says at its first asking."""
    said = _known(db).get(NOW)
    if said is None:
        said = db.scalar(_CLOCK)
        _known(db)[NOW] = said
    assert isinstance(said, datetime)
    return said


def _known(db: Session) -> dict[str, Any]:
    """What a transaction has found out, and what stays so until its end."""
    transaction = db.get_transaction()
    if transaction is None:
        return {}
    known: dict[str, Any]
    of, known = db.info.get(NOW, (None, {}))
    if of is not transaction:
        known = {}
        db.info[NOW] = transaction, known
    return known


def link(before: str, body: str) -> str:
    """The hash that ties canonical JSON `body` to the hash `before` it."""
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Chain:
    """The result of checking a chain; `first_bad` is the first event that does not fit."""

    valid: bool
    length: int
    head: str
    first_bad: int | None = None


def verify(db: Session, chain: UUID | None) -> Chain:
    """Recompute every link of a chain, reading it piece by piece."""
    name, before, length = str(chain) if chain else HOUSE, GENESIS, 0
    rows = select(Event).where(Event.chain == name).order_by(Event.seq)
    for event in db.scalars(rows.execution_options(yield_per=1000)):
        if not _fits(event, before):
            return Chain(valid=False, length=length, head=before, first_bad=event.seq)
        before, length = event.hash, length + 1
    return Chain(valid=True, length=length, head=before)


def _fits(event: Event, before: str) -> bool:
    """Is it the link that it says, and do its columns say what its payload says?"""
    if event.prev_hash != before or event.hash != link(before, event.payload):
        return False
    facts = json.loads(event.payload)
    told = (facts["type"], facts["actor"], facts["request"], facts["job"])
    request, job = (str(i) if i else None for i in (event.request_id, event.job_id))
    return told == (event.type, event.actor, request, job)


def of_request(db: Session, request_id: UUID, after: int = 0) -> list[Event]:
    """What happened to a request, in order, from after this sequence number."""
    return list(
        db.scalars(
            select(Event)
            .where(Event.request_id == request_id, Event.seq > after)
            .order_by(Event.seq)
        )
    )


def of_model(db: Session, model_id: UUID, after: int, limit: int) -> list[Event]:
    """A page of a model's chain."""
    return list(
        db.scalars(
            select(Event)
            .where(Event.chain == str(model_id), Event.seq > after)
            .order_by(Event.seq)
            .limit(limit)
        )
    )
