"""An import job: a source becomes packed pixels in the store and rows in SQL."""

from pathlib import Path
from typing import Any

from models_store import datasets, events, jobs, keys
from models_store.claims import Claim
from models_store.datasets import SampleRow
from models_store.failpoints import failpoint
from models_store.life import Phase
from models_store.objects import bring
from models_store.store import Store
from models_store.tables import Blob
from workers.data.packing import Shard, pack
from workers.data.readers import open_source
from workers.data.records import ImportOptions
from workers.pulse import Pulse

MEDIA = "application/vnd.lethe.shard"


def run(store: Store, claim: Claim, pulse: Pulse) -> None:
    """Read, check, pack and register every image; then say what came of it.

    Raises:
        BadRow: the offending row by file and number; nothing of the dataset stays.
        NameTaken: a dataset of this name has other content.
    """
    assert claim.dataset_id is not None
    shard: Shard | None = None
    with store.blobs.workspace() as folder:
        source = open_source(_path(store, claim.task, folder), _options(store, claim.task))
        pulse.enter(Phase.IMPORTING, source.total)
        with store.begin() as db:
            datasets.begin_rows(db, claim.dataset_id)
        for number, shard in enumerate(pack(source.records(), folder, source.class_names)):
            _register(store, claim, number, shard)
            failpoint("import.shard")
            pulse.count(shard.first + len(shard.rows), source.total)
    assert shard is not None, "a source without images raises BadRow"
    with store.begin() as db:
        ready = datasets.complete(
            db,
            claim.dataset_id,
            fingerprint=shard.fingerprint,
            class_names=list(source.class_names),
            shape=list(shard.shape),
        )
        result: dict[str, Any] = {
            "dataset": str(ready.id),
            "duplicate": ready.id != claim.dataset_id,
        }
        jobs.finish(db, claim, result)
        events.append(
            db, "dataset.ready", actor=claim.worker, job_id=claim.job_id,
            fingerprint=shard.fingerprint, **result,
        )  # fmt: skip


def _register(store: Store, claim: Claim, number: int, shard: Shard) -> None:
    assert claim.dataset_id is not None
    kept = (store.objects or store.blobs).put_file(shard.path)
    shard.path.unlink()
    rows = [
        SampleRow(row.sample_id, shard.first + row.position, row.label, row.split, row.subject)
        for row in shard.rows
    ]
    with store.begin() as db:
        jobs.beat(db, claim, store.settings)  # an attempt that lost its claim adds nothing
        blob = Blob(digest=kept.digest, size=kept.size, media_type=MEDIA)
        datasets.add_shard(db, claim.dataset_id, number, blob, rows)


def _path(store: Store, task: dict[str, Any], folder: Path) -> Path:
    """Where the source lies; in `folder` if it had to be fetched."""
    if "upload" in task:
        return store.blobs.path(task["upload"])
    return bring(task["path"], folder) if "://" in task["path"] else Path(task["path"])


def _options(store: Store, task: dict[str, Any]) -> ImportOptions:
    with store.begin() as db:
        key = keys.hash_key(db)
    resize = task.get("resize")
    return ImportOptions(
        classes=tuple(task.get("class_names") or ()),
        split=task.get("split") or "train",
        resize=(resize[0], resize[1]) if resize else None,
        holdout_share=task.get("holdout_share") or 0.0,
        holdout_key=key,
    )
