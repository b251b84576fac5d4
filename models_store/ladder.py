"""The ladder: what a verdict means for the requests that wait for it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import batches, offers, pools, registry, steps, versions
from models_store.audits import Report
from models_store.claims import Claim
from models_store.life import RequestStatus, VersionState
from models_store.rungs import Rung
from models_store.tables import ForgetRequest, Job, JobRequest, Model, Version


def deciding_tier(db: Session, model: Model, rung: Rung) -> int:
    """The audit tier whose gates decide on a rung of this model now."""
    root = versions.get(db, model.id, str(rung.original))
    has_pool = pools.is_usable(db, model, root)
    return registry.policy_of(model).tier(has_pool=has_pool)


def is_good(db: Session, rung: Rung, report: Report) -> bool:
    """Do the gates let the version of this rung pass?

    What never saw the forget set is not held back by a test that had too few images to tell.
    """
    if report.verdict == "inconclusive":
        return offers.is_exact(db, rung.method, rung.prune)
    return report.verdict == "pass"


def members(db: Session, claim: Claim) -> list[ForgetRequest]:
    """The requests that wait for this job, and have not been withdrawn."""
    return list(
        db.scalars(
            select(ForgetRequest)
            .join(JobRequest, JobRequest.request_id == ForgetRequest.id)
            .where(
                JobRequest.job_id == claim.job_id,
                ~JobRequest.carried,
                ForgetRequest.status.in_((RequestStatus.QUEUED, RequestStatus.RUNNING)),
            )
            .order_by(ForgetRequest.id)
        )
    )


def settle(db: Session, claim: Claim, rung: Rung, version: Version, job: Job) -> None:
    """Requests succeed, climb to the next rung, or have reached the end of the ladder.

    Args:
        job: the one that made the version.
    """
    waiting = members(db, claim)
    if version.assured:
        for request in waiting:
            steps.succeed(db, request, version.number, claim.worker)
        return
    if version.state is not VersionState.QUARANTINED:
        keep_interim(waiting, version)
    model = registry.locked(db, version.model_id)
    policy = registry.policy_of(model)
    lane = rung.lane and policy.next_rung(rung.lane, has_recipe=rung.recipe is not None)
    if lane is not None and waiting:
        following = batches.of_lane(db, model, lane, follows=job.id)
        batches.join(db, following, waiting)
        for request in waiting:
            request.job_id = following.id
        return
    failure = {
        "code": "audit_failed",
        "detail": f"Version {version.number} ({rung.method}) did not pass the gates of the "
        "model's policy, and the ladder has no further rung.",
        "retryable": rung.recipe is not None,
        "version": version.number,
    }
    for request in waiting:
        steps.fail(db, request, failure, claim.worker)


def keep_interim(waiting: list[ForgetRequest], version: Version) -> None:
    """The version is served meanwhile, though it has not passed its gates."""
    for request in waiting:
        request.interim_version = version.number
        request.row_version += 1
