"""Who works here: worker processes as they last reported, and the lease on the leader's role."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models_store.columns import now
from models_store.life import JobStatus
from models_store.settings import Settings
from models_store.tables import Job, Lock, Worker

LEADER = "relay"


@dataclass(frozen=True, slots=True)
class Badge:
    """How a worker introduces itself."""

    name: str
    queues: list[str]
    device: str
    host: str
    pid: int
    software: dict[str, Any]


def sign_in(db: Session, badge: Badge) -> None:
    """A worker has come in and warms up; it takes no work before it has measured something."""
    db.merge(
        Worker(
            name=badge.name,
            queues=badge.queues,
            device=badge.device,
            host=badge.host,
            pid=badge.pid,
            software=badge.software,
            rates={},
            started_at=now(),
            last_beat_at=now(),
            stopped_at=None,
        )
    )


def tell(db: Session, name: str, rates: dict[str, Any]) -> None:
    """What a worker has measured, never empty; the first time says that it takes work now."""
    db.execute(update(Worker).where(Worker.name == name).values(rates=rates))


def feel(db: Session, name: str) -> None:
    """A sign of life."""
    db.execute(update(Worker).where(Worker.name == name).values(last_beat_at=now()))


def sign_out(db: Session, name: str) -> None:
    """A worker stops in good order."""
    db.execute(update(Worker).where(Worker.name == name).values(stopped_at=now()))


def listed(db: Session) -> list[Worker]:
    """Workers that have not signed out, by name."""
    return list(db.scalars(select(Worker).where(Worker.stopped_at.is_(None)).order_by(Worker.name)))


def busy(db: Session) -> dict[str, UUID]:
    """Who is at which job."""
    held = select(Job.lease_owner, Job.id).where(Job.status == JobStatus.RUNNING)
    return {name: job_id for name, job_id in db.execute(held) if name is not None}


def present(db: Session, settings: Settings) -> int:
    """How many workers, warm or warming, have given a sign of life within a lease."""
    return len(alive(db, settings))


def idle(db: Session, settings: Settings) -> list[Worker]:
    """Those of them who are ready and at no job."""
    ready, at_work = [worker for worker in alive(db, settings) if worker.rates], busy(db)
    return [worker for worker in ready if worker.name not in at_work]


def alive(db: Session, settings: Settings) -> list[Worker]:
    """Those of `present`, by name."""
    fresh = Worker.last_beat_at > now(-settings.lease)
    found = select(Worker).where(Worker.stopped_at.is_(None), fresh).order_by(Worker.name)
    return list(db.scalars(found))


def lead(db: Session, holder: str, settings: Settings) -> bool:
    """Take or renew the leader's role; False while another holder's lease runs.

    A row with a lease on both databases, rather than PostgreSQL's advisory lock: a leader that is
    frozen, and not dead, keeps its connection and would keep an advisory lock for ever.
    """
    values = {"holder": holder, "expires_at": now(settings.leader_lease)}
    mine = or_(Lock.holder == holder, Lock.expires_at < now())
    won = db.scalar(
        update(Lock).where(Lock.name == LEADER, mine).values(values).returning(Lock.name)
    )
    if won is not None:
        return True
    if db.get(Lock, LEADER) is not None:
        return False
    try:
        with db.begin_nested():
            db.add(Lock(name=LEADER, **values))
    except IntegrityError:
        return False
    return True


def step_down(db: Session, holder: str) -> None:
    """Let another process lead at once."""
    db.execute(
        update(Lock).where(Lock.name == LEADER, Lock.holder == holder).values(expires_at=now())
    )
