"""What is known beside an audit: what references say of its rows, certificates, and earlier audits."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models_store import audits, certificates, lineage, pools, registry, versions
from models_store.certificates import Use
from models_store.errors import NotFound
from models_store.life import Goal, MemberKind, MemberState
from models_store.rungs import Subject
from models_store.tables import PoolMember
from workers import certificate, halves, report
from workers.bench import Bench
from workers.evidence import Certificate, References, Retrain
from workers.report import VersionFacts
from workers.scoring import load_scores


def gather(
    bench: Bench, subject: Subject, original: int, rows: Tensor, removed: Tensor
) -> tuple[References | None, list[Retrain]]:
    """The reference pool of a model, and those of its retrains that never saw the forget set.

    Args:
        original: number of the version that the line began with.
        rows: (n,) int64 rows that the candidate is scored on, ascending.
        removed: (m,) int64 rows of the forget set.
    """
    with bench.store.read() as db:
        root = versions.get(db, subject.model_id, str(original))
        pool = pools.find(db, registry.get(db, str(subject.model_id)), root)
        ready = pools.members(db, pool.id, MemberState.READY) if pool is not None else []
    count = len(bench.lay(subject.dataset_id).labels)
    of_halves = [member for member in ready if member.kind is MemberKind.HALF]
    retrains = [
        member
        for member in ready
        if member.kind is MemberKind.RETRAIN
        and not halves.unpacked(member.trained, count)[removed].any()
    ]
    return _references(bench, of_halves, rows, count), _retrains(bench, subject, retrains, rows)


def _references(
    bench: Bench, members: Sequence[PoolMember], rows: Tensor, count: int
) -> References | None:
    margins, trained = [], []
    for member in members:
        try:
            data = bench.store.blobs.read(member.scores)
        except NotFound:  # retired and erased since we looked
            continue
        margins.append(halves.spread(data, rows))
        trained.append(halves.unpacked(member.trained, count)[rows])
    if not margins:
        return None
    return References(rows=rows, margins=torch.stack(margins), trained=torch.stack(trained))


def _retrains(
    bench: Bench, subject: Subject, members: Sequence[PoolMember], rows: Tensor
) -> list[Retrain]:
    found = []
    for member in members:
        assert member.weights is not None
        try:
            scores = load_scores(bench.store.blobs.read(member.scores))
        except NotFound:
            continue
        model = partial(_loaded, bench, subject, member.weights)
        found.append(Retrain(scores=scores.of(rows), model=model))
    return found


def _loaded(bench: Bench, subject: Subject, digest: str) -> nn.Module:
    return bench.loaded(subject, digest).eval()


def held(
    bench: Bench, subject: Subject, original: int, made: VersionFacts, goal: str, labels: Tensor
) -> Certificate | None:
    """The certificate that covers how a version was made, if there is one.

    Args:
        original: number of the version that the line began with.
        goal: as in `Evidence`.
        labels: (m,) int64 of the rows that were forgotten.
    """
    if made.method is None or goal == "none":
        return None
    use = Use(
        method=made.method,
        params=dict(made.params),
        prune=dict(made.prune) if made.prune else None,
        goal=Goal(goal),
        size=len(labels.unique()) if goal == Goal.CLASS else len(labels),
    )
    with bench.store.read() as db:
        model = registry.get(db, str(subject.model_id))
        root = versions.get(db, model.id, str(original))
        found = certificates.covering(db, model, root, use)
    return None if found is None else certificate.shown(found)


def history(bench: Bench, subject: Subject, base: int) -> list[dict[str, Any]]:
    """What audits said of a version and of those that it came from, oldest first."""
    model = subject.model_id
    with bench.store.read() as db:
        line = lineage.line(db, versions.get(db, model, str(base)))
        numbers = [version.number for version in reversed(line)]
        found = audits.traced(db, model, numbers, report.TRACED)
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
