"""What must hold after every accident: nothing lost, nothing doubled, everything told once."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import events
from models_store.columns import now
from models_store.life import REQUEST_ENDED, REQUEST_NEXT, JobKind, JobStatus, RequestStatus
from models_store.store import Store
from models_store.tables import Event, ForgetRequest, Job, Model, Version

SLACK = timedelta(seconds=30)
"""A lease that ran out this short a time ago is about to be noticed."""


def hold(store: Store) -> None:
    """Assert the three invariants on everything that the store holds."""
    with store.read() as db:
        if db.get_bind().dialect.name == "postgresql":  # one moment of a house that may be at work
            db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for request in db.scalars(select(ForgetRequest)):
            assert _is_alive(db, request), (
                f"{request.id} is {request.status} and nobody works on it"
            )
            _told_once(db, request)
        _one_version_per_job(db)
        for chain in [None, *db.scalars(select(Model.id))]:
            assert events.verify(db, chain).valid, f"the chain of {chain or 'the house'} is broken"
        _claims_differ(db)


def _is_alive(db: Session, request: ForgetRequest) -> bool:
    """Ended, in somebody's hands, or on the way there."""
    if request.status in (*REQUEST_ENDED, RequestStatus.AWAITING_APPROVAL):
        return True
    job = db.get(Job, request.job_id) if request.job_id else None
    if job is None:
        return False
    if job.status is JobStatus.QUEUED:
        return True
    fresh = select(Job.lease_expires_at > now(-SLACK)).where(Job.id == job.id)
    return job.status is JobStatus.RUNNING and bool(db.scalar(fresh))


def _told_once(db: Session, request: ForgetRequest) -> None:
    """Its events are a walk through the table of life that ends where it stands."""
    told = [event.type.removeprefix("request.") for event in events.of_request(db, request.id)]
    steps = [RequestStatus(word) for word in told if word in set(RequestStatus)]
    assert steps[0] is RequestStatus.ACCEPTED, told
    for before, after in pairwise(steps):
        assert after in REQUEST_NEXT[before], told
    assert steps[-1] is request.status, (told, request.status)


def _one_version_per_job(db: Session) -> None:
    made = Counter(db.scalars(select(Version.job_id).where(Version.job_id.is_not(None))))
    assert all(count == 1 for count in made.values())
    succeeded = select(Job.id).where(Job.kind == JobKind.FORGET, Job.status == JobStatus.SUCCEEDED)
    forgetting = select(Job.id).where(Job.kind == JobKind.FORGET)
    assert set(made) & set(db.scalars(forgetting)) == set(db.scalars(succeeded))
    published = _jobs_of(db.scalars(select(Event).where(Event.type == "version.published")))
    assert set(made) <= set(published)
    assert all(count == 1 for count in published.values())


def _jobs_of(found: Iterable[Event]) -> Counter[UUID | None]:
    return Counter(event.job_id for event in found)


def _claims_differ(db: Session) -> None:
    claims = [
        (event.job_id, json.loads(event.payload)["attempt"])
        for event in db.scalars(select(Event).where(Event.type == "job.claimed"))
    ]
    assert len(claims) == len(set(claims))
    ended = _jobs_of(db.scalars(select(Event).where(Event.type == "job.succeeded")))
    assert all(count == 1 for count in ended.values())
