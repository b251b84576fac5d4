"""A version that is looked at again: after its rung, by the next tier, or when somebody asks."""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models_store import audits, events, jobs, ladder, pools, registry, rungs, versions
from models_store.audits import Report
from models_store.claims import Claim
from models_store.errors import InvalidTransition
from models_store.life import JobKind, JobStatus, Queue, VersionState
from models_store.rungs import Rung
from models_store.tables import (
    Audit,
    ForgetRequest,
    Job,
    JobRequest,
    Model,
    RequestSample,
    Sample,
    Version,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What an audit job looks at: a version, and the rung that made it."""

    rung: Rung
    """Without rows whose pixels have been overwritten."""
    version: Version
    tier: int
    attempt: int
    """How often this tier has been asked about versions made for the same requests, this time
    included: who asks often enough passes once by chance."""
    facts: dict[str, float]
    """Measured by the rung's run."""
    seed: int


def follow_up(db: Session, claim: Claim, version: Version, job: Job, tier: int) -> Job:
    """The version is served as provisional; its requests wait for a tier that takes longer."""
    waiting = ladder.members(db, claim)
    ladder.keep_interim(waiting, version)
    review = _open(db, version, job, tier)
    review.due_at = job.due_at
    for request in waiting:
        db.merge(JobRequest(job_id=review.id, request_id=request.id))
        request.job_id = review.id
    return review


def order(db: Session, model: Model, version: Version, tier: int | None, actor: str) -> Job:
    """Have a version audited once more; a tier that waits already is not ordered twice.

    Args:
        tier: None for the one that decides by the model's policy.

    Raises:
        InvalidTransition: it forgot nothing, or what is needed to compare has been erased.
    """
    job = _maker(db, version)
    _refuse_impossible(db, version, job)
    if tier is None:
        has_pool = pools.is_usable(db, model, pools.root_of(db, model))
        tier = registry.policy_of(model).tier(has_pool=has_pool)
    review = _open(db, version, job, tier)
    for request in _union(job):  # told to no one, but counted
        if db.get(JobRequest, (review.id, request)) is None:
            db.add(JobRequest(job_id=review.id, request_id=request, carried=True))
    events.append(
        db, "audit.ordered", chain=model.id, actor=actor, job_id=review.id,
        number=version.number, tier=tier,
    )  # fmt: skip
    return review


def _maker(db: Session, version: Version) -> Job:
    job = db.get(Job, version.job_id) if version.job_id is not None else None
    if job is None or job.kind is not JobKind.FORGET:
        raise InvalidTransition(
            f"Version {version.number} forgot nothing: its first audit is its baseline."
        )
    return job


def _union(job: Job) -> list[UUID]:
    return [UUID(request) for request in job.task["union"]]


def _refuse_impossible(db: Session, version: Version, job: Job) -> None:
    base = db.get_one(Version, (version.model_id, version.parent))
    gone = [v.number for v in (base, version) if v.state is VersionState.ERASED]
    if gone:
        raise InvalidTransition(
            f"Version {version.number} cannot be compared any more: the weights of version "
            f"{gone[0]} have been erased."
        )
    left = select(func.count()).where(
        RequestSample.request_id.in_(_union(job)),
        Sample.dataset_id == RequestSample.dataset_id,
        Sample.position == RequestSample.position,
        Sample.erased_at.is_(None),
    )
    if not db.scalar(left):
        raise InvalidTransition(
            f"The images that version {version.number} forgot have been erased: nothing is left "
            "to audit it on."
        )


def _open(db: Session, version: Version, job: Job, tier: int) -> Job:
    batch = f"audit:{version.number}:{tier}"
    waiting = select(Job).where(
        Job.model_id == version.model_id,
        Job.batch == batch,
        Job.status == JobStatus.QUEUED,
        Job.attempt == 0,
    )
    return db.scalar(waiting) or jobs.open_job(
        db, JobKind.AUDIT, Queue.QUALITY, batch=batch, follows=job.id,
        task={"number": version.number, "tier": tier},
        model_id=version.model_id, dataset_id=job.dataset_id, base_version=version.parent,
    )  # fmt: skip


def begin(db: Session, claim: Claim) -> Review:
    """What a claimed audit job looks at."""
    assert claim.model_id is not None
    model = registry.get(db, str(claim.model_id))
    version = versions.get(db, model.id, str(claim.task["number"]))
    job, base = _maker(db, version), db.get_one(Version, (model.id, version.parent))
    union = [db.get_one(ForgetRequest, request) for request in _union(job)]
    rung = rungs.laid_out(db, model, base, union, job.task, version.method)
    gone = set(pools.erased(db, model.dataset_id))
    left = {request: sorted(set(rows) - gone) for request, rows in rung.requests.items()}
    asked = select(func.count(Audit.id.distinct())).where(
        Audit.tier == claim.task["tier"],
        Audit.job_id == JobRequest.job_id,
        JobRequest.request_id.in_(_union(job)),
    )
    return Review(
        rung=replace(rung, forget=sorted(set(rung.forget) - gone), requests=left),
        version=version,
        tier=claim.task["tier"],
        attempt=1 + (db.scalar(asked) or 0),
        facts={name: each for name, each in (job.result or {}).items() if name != "version"},
        seed=job.seed,
    )


def publish(db: Session, claim: Claim, review: Review, report: Report) -> Version:
    """An audit job is done: its report is appended, and those who waited for it are told."""
    model = registry.locked(db, review.rung.subject.model_id)
    result = {"version": review.version.number, "tier": report.tier, "verdict": report.verdict}
    jobs.finish(db, claim, result)
    version = versions.get(db, model.id, str(review.version.number))
    audits.add(db, model.id, version.number, claim.job_id, report)
    good = ladder.is_good(db, review.rung, report)
    if report.tier >= ladder.deciding_tier(db, model, review.rung):
        version.assured = good
        version.row_version += 1
    if version.assured and version.state is VersionState.PROVISIONAL:
        versions.move(db, version, VersionState.ACTIVE)
    events.append(
        db, "version.audited", chain=model.id, actor=claim.worker, job_id=claim.job_id,
        number=version.number, state=version.state, verdict=report.verdict,
        assurance=report.assurance, attempt=review.attempt,
    )  # fmt: skip
    ladder.settle(db, claim, review.rung, version, _maker(db, version))
    return version
