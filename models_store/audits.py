"""Reports on versions: one JSON document, its pages as blobs, and a row a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store.errors import NotFound
from models_store.tables import Audit, AuditTest, Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the workshop found out about one version; `verdict` is pass, fail or inconclusive."""

    tier: int
    verdict: str
    assurance: str
    document: dict[str, Any]
    tests: Sequence[Mapping[str, Any]]
    pages: Mapping[str, Blob] = field(default_factory=dict)
    """Media type -> blob."""


COLUMNS = ("test", "estimate", "low", "high", "before", "n", "gate", "verdict")


def add(db: Session, model_id: UUID, number: int, job_id: UUID, report: Report) -> Audit:
    """Append a report; reports are never changed, a correction is another report."""
    for blob in report.pages.values():
        db.merge(blob)
    audit = Audit(
        model_id=model_id,
        number=number,
        job_id=job_id,
        tier=report.tier,
        verdict=report.verdict,
        assurance=report.assurance,
        document=report.document,
        pages={media: blob.digest for media, blob in report.pages.items()},
    )
    db.add(audit)
    db.flush()
    db.add_all(
        AuditTest(audit_id=audit.id, **{column: test[column] for column in COLUMNS})
        for test in report.tests
    )
    return audit


def traced(
    db: Session, model_id: UUID, numbers: Sequence[int], tests: Sequence[str]
) -> dict[int, dict[str, AuditTest]]:
    """The newest figures of some tests, by version and test; absent where nothing was measured."""
    rows = db.execute(
        select(Audit.number, AuditTest)
        .join(AuditTest, AuditTest.audit_id == Audit.id)
        .where(
            Audit.model_id == model_id,
            Audit.number.in_(numbers),
            AuditTest.test.in_(tests),
            AuditTest.estimate.is_not(None),
        )
        .order_by(Audit.id)
    )
    found: dict[int, dict[str, AuditTest]] = {number: {} for number in numbers}
    for number, row in rows:
        found[number][row.test] = row
    return found


def latest(db: Session, model_id: UUID, number: int) -> Audit:
    """The newest report on a version. Raises `NotFound`."""
    audit = db.scalar(
        select(Audit)
        .where(Audit.model_id == model_id, Audit.number == number)
        .order_by(Audit.id.desc())
        .limit(1)
    )
    if audit is None:
        raise NotFound(f"There is no audit of version {number} yet.")
    return audit
