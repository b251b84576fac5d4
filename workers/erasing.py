"""An erase job: old versions, retired reference models, scores and pixels of forgotten samples go."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import torch
from torch import Tensor

from models_store import (
    datasets,
    erasure,
    jobs,
    registry,
    retention,
    retiring,
    shadows,
    versions,
)
from models_store.blobs import Kept
from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.life import MemberKind, MemberState, Phase, VersionState
from models_store.store import Store
from models_store.tables import Blob, PoolMember, Shard
from workers import halves, scoring
from workers.data.packing import rewrite
from workers.importing import MEDIA as SHARD
from workers.pulse import Pulse


def run(store: Store, claim: Claim, pulse: Pulse) -> None:
    """Erase all that may be erased for a model; each row changes before its bytes go."""
    assert claim.dataset_id is not None
    result = _let_go(store, claim, claim.dataset_id)
    with store.begin() as db:
        jobs.beat(db, claim, store.settings)
        rows = retention.withdraw(db, claim.dataset_id)
        shards = datasets.shards(db, claim.dataset_id) if rows else []
    pulse.enter(Phase.PUBLISHING, len(shards))
    for done, shard in enumerate(shards, start=1):
        mine = [row for row in rows if shard.first <= row < shard.first + shard.count]
        if mine:
            _overwrite(store, claim, shard, mine)
        pulse.count(done, len(shards))
    _forget_scores(store, claim)
    _forget_references(store, claim, claim.dataset_id)
    with store.begin() as db:
        jobs.finish(db, claim, result | {"samples": len(rows)})


def _let_go(store: Store, claim: Claim, dataset_id: UUID) -> dict[str, int]:
    """Old versions and retired reference models go; how many.

    Bytes that a crash left between a row and its file are found by their tombstones and go too.
    """
    assert claim.model_id is not None
    with store.begin() as db:
        jobs.beat(db, claim, store.settings)
        model = registry.locked(db, claim.model_id)
        doomed = erasure.left_behind(db, model)
        versions_gone = retention.erasable_versions(db, model)
        for version in versions_gone:
            doomed += erasure.erase_version(db, version)
        members = retention.erasable_members(db, model)
        for member in members:
            doomed += retiring.erase(db, dataset_id, member)
        for job_id in retention.stray_shadows(db, dataset_id):
            doomed += shadows.clear(db, job_id)
    _drop(store, doomed)
    return {"versions": len(versions_gone), "references": len(members)}


def _drop(store: Store, digests: Sequence[str]) -> None:
    failpoint("erase.before_drop")
    for digest in digests:
        store.drop(digest)


def _overwrite(store: Store, claim: Claim, shard: Shard, rows: list[int]) -> None:
    """A copy of the shard without these images takes its place."""
    home = store.home(shard.digest)
    with store.blobs.workspace() as folder:
        source = home.fetched(shard.digest, folder)
        copy: Path = rewrite(source, [row - shard.first for row in rows], folder)
        kept = home.put_file(copy)
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
        kept = _without(store, version.scores, erased)
        if kept is None:
            continue
        with store.begin() as db:
            jobs.beat(db, claim, store.settings)
            current = versions.get(db, version.model_id, str(version.number))
            if current.state is VersionState.ERASED or current.scores != version.scores:
                continue
            old = erasure.replace_scores(db, current, _blob(kept, scoring.MEDIA))
        _drop(store, old)


def _forget_references(store: Store, claim: Claim, dataset_id: UUID) -> None:
    """What reference models say of erased images goes too, whether they have seen them or not."""
    with store.read() as db:
        erased = torch.tensor(datasets.erased(db, dataset_id), dtype=torch.int64)
        alive = retiring.of_dataset(db, dataset_id, MemberState.READY, MemberState.RETIRED)
    for member in alive:
        is_half = member.kind is MemberKind.HALF
        kept = (_cut if is_half else _without)(store, member.scores, erased)
        if kept is None:
            continue
        with store.begin() as db:
            jobs.beat(db, claim, store.settings)
            current = db.get_one(PoolMember, member.id)
            media = halves.MEDIA if is_half else scoring.MEDIA
            old = retiring.replace_scores(db, dataset_id, current, _blob(kept, media))
        _drop(store, old)


def _without(store: Store, digest: str, rows: Tensor) -> Kept | None:
    """A copy of cached scores without these rows; None if they hold none of them."""
    scores = scoring.load_scores(store.blobs.read(digest))
    left = scores.rows[~torch.isin(scores.rows, rows)]
    if len(left) == len(scores.rows):
        return None
    return store.blobs.put(scoring.dump_scores(scores.of(left)))


def _cut(store: Store, digest: str, rows: Tensor) -> Kept | None:
    """A copy of a table of margins without these rows; None if it holds none of them."""
    known, margins = halves.load_margins(store.blobs.read(digest))
    left = ~torch.isin(known, rows)
    if left.all():
        return None
    return store.blobs.put(halves.dump_margins(known[left], margins[left]))


def _blob(kept: Kept, media_type: str) -> Blob:
    return Blob(digest=kept.digest, size=kept.size, media_type=media_type)
