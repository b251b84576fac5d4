"""What was found before an audit: a certificate of the method, verdicts on the versions before."""

from typing import Any

from models_store import audits as kept
from models_store import certificates, lineage, registry, versions
from models_store.certificates import Use
from models_store.rungs import Subject
from models_store.store import Store
from workers import report
from workers.certificate import shown
from workers.evidence import Certificate


def certificate(store: Store, subject: Subject, original: int, use: Use) -> Certificate | None:
    """The certificate that covers a use of a method on a model.

    Args:
        original: number of the version that the line began with.
    """
    with store.read() as db:
        model = registry.get(db, str(subject.model_id))
        root = versions.get(db, model.id, str(original))
        found = certificates.covering(db, model, root, use)
    return None if found is None else shown(found)


def audits(store: Store, subject: Subject, base: int) -> list[dict[str, Any]]:
    """What audits said of a version and of those that it came from, oldest first."""
    model = subject.model_id
    with store.read() as db:
        line = lineage.line(db, versions.get(db, model, str(base)))
        numbers = [version.number for version in reversed(line)]
        found = kept.traced(db, model, numbers, report.TRACED)
        return [
            {
                "version": number,
                "tests": {
                    test: {"estimate": row.estimate, "low": row.low, "high": row.high}
                    for test, row in found[number].items()
                },
            }
            for number in numbers
        ]
