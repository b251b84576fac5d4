"""A pool job: reference models are trained one after the other, and each is kept at once."""

from collections import Counter
from dataclasses import dataclass
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from models_store import jobs, pools
from models_store.blobs import Kept
from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.life import MemberKind, Phase
from models_store.pools import Build, Built
from models_store.tables import Blob, PoolMember
from workers import checkpoints, halves, scoring, training, weights
from workers.bench import Bench, Laid, software
from workers.drive import drive, spent, within
from workers.evidence import Scores
from workers.kinds import Recipe
from workers.pulse import Pulse, Stopped, Why
from workers.signals import margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The next member: which kind, and the rows that it is trained on."""

    kind: MemberKind
    label: int | None
    draw: int
    seed: int
    rows: Tensor


def run(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Bring a pool to the size that was ordered; a later attempt goes on where this one ends.

    Between two members, as at every checkpoint, it makes way for whoever is more urgent; and once
    a share of the time limit is spent it starts anew, so that the limit is one of a member and not
    of the whole build.
    """
    began = monotonic()
    pulse.enter(Phase.TRAINING)
    while True:
        with bench.store.read() as db:
            build = pools.begin(db, claim)
        missing = _missing(build, claim.task)
        built = sum(m.job_id == claim.job_id for m in build.halves + build.retrains)
        if not missing:
            break
        _build(bench, claim, pulse, build, (built, built + len(missing)))
        failpoint("pool.member_built")
        if pulse.should_give_way or spent(bench.store, began):
            raise Stopped(Why.GIVE_WAY)
    result = {"halves": len(build.halves), "retrains": len(build.retrains), "built": built}
    with bench.store.begin() as db:
        jobs.finish(db, claim, result)


def _missing(build: Build, task: dict[str, Any]) -> list[int | None]:
    """For each member still to build, the class it is trained without; None for a half."""
    ready = Counter(member.label for member in build.retrains)
    missing: list[int | None] = [None] * (task["size"] - len(build.halves))
    for order in task["retrains"]:
        missing += [order["label"]] * (order["size"] - ready[order["label"]])
    return missing


def _build(bench: Bench, claim: Claim, pulse: Pulse, build: Build, place: tuple[int, int]) -> None:
    """Train the next member, let it speak of every row, and write it down.

    Args:
        place: how many members the job has built, and how many it will have.
    """
    laid, recipe = bench.lay(build.subject.dataset_id), Recipe(**build.recipe)
    wanted = _next(build, claim, laid)
    identity = checkpoints.identity(
        software=software(),
        recipe=build.recipe,
        rows=checkpoints.rows_digest(wanted.rows),
        seed=str(wanted.seed),
        precision=bench.precision,
    )
    net = bench.net(build.subject, wanted.seed)
    steps = training.fit(
        net,
        laid.samples(wanted.rows),
        recipe,
        rng=torch.Generator().manual_seed(wanted.seed),
        precision=bench.precision,
        resume=checkpoints.found(bench.store, claim, identity),
    )
    seconds = drive(within(steps, *place), bench.store, claim, pulse, identity)
    known = torch.ones(len(laid.labels), dtype=torch.bool)
    known[build.erased] = False
    everything = laid.samples(known.nonzero().flatten())
    scores = scoring.score(net, everything, precision=bench.precision)
    is_half = wanted.kind is MemberKind.HALF
    built = Built(
        kind=wanted.kind,
        label=wanted.label,
        draw=wanted.draw,
        seed=wanted.seed,
        trained=halves.packed(wanted.rows, len(laid.labels)),
        scores=_margins(bench, scores) if is_half else _all(bench, scores),
        weights=None if is_half else _put(bench, weights.dump(net), weights.MEDIA),
        provenance=bench.provenance(wanted.seed) | {"seconds": round(seconds, 3)},
    )
    _keep(bench, claim, build, built)


def _keep(bench: Bench, claim: Claim, build: Build, built: Built) -> None:
    """Write a member down, unless images were erased while it learned: it would speak of them."""
    with bench.store.begin() as db:
        still = pools.erased(db, build.subject.dataset_id) == build.erased
        if still:
            pools.add(db, claim, build, built)
    if not still:
        for blob in filter(None, (built.scores, built.weights)):
            bench.store.blobs.drop(blob.digest)


def _next(build: Build, claim: Claim, laid: Laid) -> Wanted:
    """Decided by the pool as it stands, so that another attempt decides the same."""
    label = _missing(build, claim.task)[0]
    seed = (claim.seed + build.serial) % 2**62
    training_rows = _kept(build, torch.tensor(build.training))
    if label is not None:
        rows = training_rows[laid.labels.cpu()[training_rows] != label]
        return Wanted(kind=MemberKind.RETRAIN, label=label, draw=build.serial, seed=seed, rows=rows)
    rows = torch.cat([training_rows, _beside(build, laid, training_rows)]).sort().values
    if (lonely := _lonely(build)) is not None:
        seen = halves.unpacked(lonely.trained, len(laid.labels))
        return Wanted(
            kind=MemberKind.HALF, label=None, draw=lonely.draw, seed=seed, rows=rows[~seen[rows]]
        )
    groups = 2 * laid.labels.cpu()[rows] + torch.isin(rows, training_rows)
    chosen = halves.half(rows, groups, seed)
    return Wanted(kind=MemberKind.HALF, label=None, draw=build.serial, seed=seed, rows=chosen)


def _lonely(build: Build) -> PoolMember | None:
    """A half whose complement is not there (any more)."""
    ready = Counter(member.draw for member in build.halves)
    return next((member for member in build.halves if ready[member.draw] == 1), None)


def _beside(build: Build, laid: Laid, training_rows: Tensor) -> Tensor:
    """Rows that audits take for never-trained ones, at most as many as the training rows."""
    held = laid.split("holdout")
    unseen = held if len(held) else laid.split("test")
    unseen = _kept(build, unseen[~torch.isin(unseen, torch.tensor(build.training))])
    return scoring.proportionate(unseen, laid.labels.cpu(), len(training_rows), seed=0)


def _kept(build: Build, rows: Tensor) -> Tensor:
    """Without what anybody has had forgotten."""
    return rows[~torch.isin(rows, torch.tensor(build.forgotten, dtype=torch.int64))]


def _margins(bench: Bench, scores: Scores) -> Blob:
    table = halves.dump_margins(scores.rows, torch.from_numpy(margin(scores)))
    return _put(bench, table, halves.MEDIA)


def _all(bench: Bench, scores: Scores) -> Blob:
    return _put(bench, scoring.dump_scores(scores), scoring.MEDIA)


def _put(bench: Bench, data: bytes, media_type: str) -> Blob:
    kept: Kept = bench.store.blobs.put(data)
    return Blob(digest=kept.digest, size=kept.size, media_type=media_type)
