"""An erase job: weights of old versions, cached scores and pixels of forgotten samples go."""

from collections.abc import Sequence
from pathlib import Path

import torch

from models_store import datasets, erasure, jobs, registry, retention, versions
from models_store.blobs import Kept
from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.life import Phase, VersionState
from models_store.store import Store
from models_store.tables import Blob, Shard
from workers import scoring
from workers.data.packing import rewrite
from workers.importing import MEDIA as SHARD
from workers.pulse import Pulse


def run(store: Store, claim: Claim, pulse: Pulse) -> None:
    """Erase all that may be erased for a model; each row changes before its bytes go.

    Bytes that a crash left between the two are found by their tombstones and dropped first.
    """
    assert claim.model_id is not None
    assert claim.dataset_id is not None
    with store.begin() as db:
        jobs.beat(db, claim, store.settings)
        model = registry.locked(db, claim.model_id)
        doomed = erasure.left_behind(db, model)
        gone = retention.erasable_versions(db, model)
        for version in gone:
            doomed += erasure.erase_version(db, version)
    _drop(store, doomed)
    with store.read() as db:
        rows = retention.erasable_rows(db, claim.dataset_id)
        shards = datasets.shards(db, claim.dataset_id) if rows else []
    pulse.enter(Phase.PUBLISHING, len(shards))
    for done, shard in enumerate(shards, start=1):
        mine = [row for row in rows if shard.first <= row < shard.first + shard.count]
        if mine:
            _overwrite(store, claim, shard, mine)
        pulse.count(done, len(shards))
    _forget_scores(store, claim)
    with store.begin() as db:
        jobs.finish(db, claim, {"versions": len(gone), "samples": len(rows)})


def _drop(store: Store, digests: Sequence[str]) -> None:
    failpoint("erase.before_drop")
    for digest in digests:
        store.blobs.drop(digest)


def _overwrite(store: Store, claim: Claim, shard: Shard, rows: list[int]) -> None:
    """A copy of the shard without these images takes its place."""
    with store.blobs.workspace() as folder:
        source = store.blobs.path(shard.digest)
        copy: Path = rewrite(source, [row - shard.first for row in rows], folder)
        kept = store.blobs.put_file(copy)
    with store.begin() as db:
        jobs.beat(db, claim, store.settings)
        current = db.get_one(Shard, (shard.dataset_id, shard.number))
        if current.digest != shard.digest:
            raise RuntimeError(f"Shard {shard.number} was rewritten by somebody else.")
        old = erasure.replace_shard(db, current, _blob(kept, SHARD), rows)
    _drop(store, old)


def _forget_scores(store: Store, claim: Claim) -> None:
    """Cached outputs for erased images go from every version, of any model, that keeps some.

    Also those for images that an earlier attempt at this job has erased.
    """
    assert claim.dataset_id is not None
    with store.read() as db:
        erased = torch.tensor(datasets.erased(db, claim.dataset_id), dtype=torch.int64)
        alive = erasure.scored(db, claim.dataset_id)
    for version in alive:
        assert version.scores is not None
        scores = scoring.load_scores(store.blobs.read(version.scores))
        left = scores.rows[~torch.isin(scores.rows, erased)]
        if len(left) == len(scores.rows):
            continue
        kept = store.blobs.put(scoring.dump_scores(scores.of(left)))
        with store.begin() as db:
            jobs.beat(db, claim, store.settings)
            current = versions.get(db, version.model_id, str(version.number))
            if current.state is VersionState.ERASED or current.scores != version.scores:
                continue
            old = erasure.replace_scores(db, current, _blob(kept, scoring.MEDIA))
        _drop(store, old)


def _blob(kept: Kept, media_type: str) -> Blob:
    return Blob(digest=kept.digest, size=kept.size, media_type=media_type)
