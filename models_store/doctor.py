"""A look at everything: bytes that no row owns, rows whose bytes are gone, versions that remember."""

from dataclasses import dataclass, field
from time import time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import lineage, retiring
from models_store.blobs import Blobs
from models_store.life import JOB_ENDED, JobKind, VersionState
from models_store.objects import Objects
from models_store.tables import Blob, Job, Model, Version

LEFT_AFTER = 3600.0
"""Seconds after which an unfinished upload counts as left behind."""
SHOWN = 100
"""How many requests are listed for a version."""


@dataclass(slots=True)
class Findings:
    """What is not as it should be; all empty is a clean bill of health."""

    orphans: list[str] = field(default_factory=list)
    """Files in the blob folder that no row owns."""
    missing: list[str] = field(default_factory=list)
    """Digests that a row owns and the folder does not have."""
    remembering: list[dict[str, Any]] = field(default_factory=list)
    """Versions whose weights are there and that remember what requests have had forgotten.

    `requests` are those on their own model; `elsewhere` those on other models of the dataset, which
    this model has not been asked to meet. Pixels wait for both.
    """
    references: list[dict[str, Any]] = field(default_factory=list)
    """Members of reference pools whose bytes are there and that saw what had to be forgotten."""


def examine(db: Session, blobs: Blobs, objects: Objects | None = None) -> Findings:
    """Compare rows and files, and walk every version that has not been erased.

    Raises `ObjectsAway`.
    """
    uploads = db.scalars(
        select(Job.task).where(Job.kind == JobKind.IMPORT, Job.status.not_in(JOB_ENDED))
    )
    kept = db.scalars(select(Job.checkpoint).where(Job.checkpoint.is_not(None)))
    rows = set(db.scalars(select(Blob.digest)))
    expected = rows | {task["upload"] for task in uploads if "upload" in task}
    expected |= {checkpoint["digest"] for checkpoint in kept if checkpoint is not None}
    away = objects.listed() if objects is not None else set[str]()
    there, found = away & expected, Findings(orphans=sorted(away - expected))
    for path in blobs.listed():
        if path.name in expected:
            there.add(path.name)
        elif path.parent.name != "incoming" or time() - path.stat().st_mtime > LEFT_AFTER:
            found.orphans.append(str(path.relative_to(blobs.folder)))
    found.missing = sorted(rows - there)
    found.orphans.sort()
    alive = select(Version, Model.name).join(Model).where(Version.state != VersionState.ERASED)
    for version, name in db.execute(alive.order_by(Model.name, Version.number)):
        own = lineage.remembered(db, version)
        elsewhere = lineage.remembered(db, version, elsewhere=True)
        if own or elsewhere:
            found.remembering.append(
                {
                    "model": name,
                    "number": version.number,
                    "state": version.state,
                    "requests": [str(request) for request in own[:SHOWN]],
                    "elsewhere": [str(request) for request in elsewhere[:SHOWN]],
                }
            )
    found.references = retiring.remembering(db)
    return found
