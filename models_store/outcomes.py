"""How a job ends: what it made is published, or its failure reaches those who wait for it.

Each function is one transaction of the caller, and each first takes the claim: an attempt that
has lost its lease raises `LostClaim` and writes nothing.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from models_store import (
    audits,
    datasets,
    decisions,
    events,
    jobs,
    ladder,
    lineage,
    registry,
    reviews,
    steps,
)
from models_store import versions as shelf
from models_store.audits import Report
from models_store.claims import Claim
from models_store.life import JobKind, JobStatus, RequestStatus, VersionState
from models_store.rungs import Rung
from models_store.tables import Blob, Model, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Weights that a job has made (already in the blob folder), and what is known of them."""

    number: int
    """The version's number, reserved when the job began."""
    weights: Blob
    scores: Blob | None
    params: dict[str, Any]
    provenance: dict[str, Any]
    report: Report
    updates: Blob | None = None
    """The log of the training, if it was asked for."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Measured by the run; they stand in the job's result."""


def publish_rung(db: Session, claim: Claim, rung: Rung, made: Made) -> Version:
    """A forget job is done: its version, its audit, its requests, and the next rung if need be."""
    model = registry.locked(db, rung.subject.model_id)
    job = jobs.finish(db, claim, {"version": made.number, **made.facts})
    version = _add(
        db, model, made, claim,
        method=rung.method, parent=rung.base,
        trained_on={"inherited": rung.original}, recipe=rung.recipe,
        prune=rung.prune or rung.sparse,
    )  # fmt: skip
    good, tier = ladder.is_good(db, rung, made.report), ladder.deciding_tier(db, model, rung)
    version.assured = good and made.report.tier >= tier
    if made.report.verdict == "fail":
        shelf.move(db, version, VersionState.QUARANTINED)
    else:
        state = VersionState.ACTIVE if version.assured else VersionState.PROVISIONAL
        shelf.serve(db, version, state)
    _tell(db, claim, version, made.report)
    if made.report.tier < tier and version.state is VersionState.PROVISIONAL:
        reviews.follow_up(db, claim, version, job, tier)
    else:
        ladder.settle(db, claim, rung, version, job)
    return version


def _add(
    db: Session, model: Model, made: Made, claim: Claim, *, method: str, **columns: Any
) -> Version:
    for blob in filter(None, (made.scores, made.updates)):
        db.merge(blob)
    version = shelf.add(
        db, model, made.number, kept=made.weights, method=method, state=VersionState.CANDIDATE,
        job_id=claim.job_id, params=made.params, provenance=made.provenance,
        scores=made.scores.digest if made.scores else None,
        updates=made.updates.digest if made.updates else None, **columns,
    )  # fmt: skip
    audits.add(db, model.id, version.number, claim.job_id, made.report)
    return version


def _tell(db: Session, claim: Claim, version: Version, report: Report) -> None:
    events.append(
        db, "version.published", chain=version.model_id, actor=claim.worker, job_id=claim.job_id,
        number=version.number, state=version.state, digest=version.digest,
        verdict=report.verdict, assurance=report.assurance,
    )  # fmt: skip


def publish_first(
    db: Session, claim: Claim, number: int, scores: Blob | None, report: Report, note: str = ""
) -> Version:
    """A version that somebody uploaded has been checked and audited as the baseline."""
    assert claim.model_id is not None
    model = registry.locked(db, claim.model_id)
    version = shelf.get(db, model.id, str(number))
    jobs.finish(db, claim, {"version": number, "note": note})
    if scores is not None:
        db.merge(scores)
        version.scores = scores.digest
    audits.add(db, model.id, number, claim.job_id, report)
    _admit(db, version, report)
    _tell(db, claim, version, report)
    return version


def _admit(db: Session, version: Version, report: Report) -> None:
    """Serve a first version, unless it fails or would bring back what has been forgotten."""
    if (
        report.verdict == "fail"
        or lineage.remembered(db, version)
        or lineage.remembers_erased(db, version)
    ):
        shelf.move(db, version, VersionState.QUARANTINED)
    else:
        version.assured = True
        shelf.serve(db, version, VersionState.ACTIVE)


def publish_trained(
    db: Session, claim: Claim, recipe: dict[str, Any], trained_on: dict[str, Any], made: Made
) -> Version:
    """A training job is done: its version is audited as a baseline and served."""
    assert claim.model_id is not None
    model = registry.locked(db, claim.model_id)
    jobs.finish(db, claim, {"version": made.number, **made.facts})
    version = _add(
        db, model, made, claim, method="train", parent=None, trained_on=trained_on, recipe=recipe
    )
    _admit(db, version, made.report)
    _tell(db, claim, version, made.report)
    return version


def broke_down(db: Session, claim: Claim, failure: dict[str, Any], max_attempts: int) -> bool:
    """An attempt failed. True if another will be made; else everybody who waits is told."""
    job = jobs.get(db, claim.job_id)
    if failure["retryable"] and job.failures + 1 < max_attempts:
        jobs.try_again(db, claim, failure)
        return True
    jobs.end(db, claim, JobStatus.FAILED, failure)
    tell_waiting(db, claim, failure)
    return False


def was_cancelled(db: Session, claim: Claim) -> None:
    """The attempt stopped because somebody asked for it."""
    jobs.end(db, claim, JobStatus.CANCELLED, None)
    for request in ladder.members(db, claim):
        steps.move(db, request, RequestStatus.CANCELLED, claim.worker)
        decisions.let_go(db, request, registry.locked(db, request.model_id))


def tell_waiting(db: Session, claim: Claim, failure: dict[str, Any]) -> None:
    """Whoever waits for this job's result learns that there will be none."""
    if claim.kind is JobKind.IMPORT:
        assert claim.dataset_id is not None
        datasets.give_up(db, claim.dataset_id)
    elif claim.kind is JobKind.CHECK:
        assert claim.model_id is not None
        version = shelf.get(db, claim.model_id, str(claim.task["number"]))
        shelf.move(db, version, VersionState.QUARANTINED)
    elif claim.kind in (JobKind.FORGET, JobKind.AUDIT):
        for request in ladder.members(db, claim):
            steps.fail(db, request, failure, claim.worker)
