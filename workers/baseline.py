"""Versions that forgot nothing: one that was uploaded is checked, one is trained here."""

from dataclasses import asdict, replace
from shutil import disk_usage
from typing import Any

import torch
from torch import Tensor, nn

from models_store import datasets, jobs, lineage, outcomes, registry, rungs, versions
from models_store.audits import Report
from models_store.blobs import Blobs
from models_store.claims import Claim
from models_store.errors import StorageFull
from models_store.life import Phase
from models_store.outcomes import Made
from models_store.rungs import Subject
from models_store.tables import Blob
from workers import auditing, checkpoints, gauge, shelf, training, updates, weights
from workers.auditing import Candidate
from workers.bench import Bench, software
from workers.drive import drive
from workers.kinds import Recipe
from workers.pulse import Pulse
from workers.report import VersionFacts
from workers.updates import Recorder

NOTHING = torch.empty(0, dtype=torch.int64)


def check(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Load uploaded weights, see that they fit and are finite, and audit them as the baseline.

    Raises:
        weights.UnfitWeights: they do not fit the architecture; the version is quarantined.
    """
    assert claim.model_id is not None
    with bench.store.read() as db:
        model = registry.get(db, str(claim.model_id))
        subject = rungs.subject(db, model)
        version = versions.get(db, model.id, str(claim.task["number"]))
        root = lineage.line(db, version)[-1]
        rows = torch.tensor(lineage.training_rows(db, root, model.dataset_id))
        gone = torch.tensor(datasets.forgotten(db, model.dataset_id), dtype=torch.int64)
    net = bench.loaded(subject, version.digest)
    facts = VersionFacts(number=version.number, digest=version.digest, method=version.method)
    pulse.enter(Phase.AUDITING)
    report, scores = _audited(bench, subject, net, facts, rows, gone, claim.seed)
    pulse.enter(Phase.PUBLISHING)
    gauge.gauge(bench, subject)
    with bench.store.begin() as db:
        outcomes.publish_first(db, claim, version.number, scores, report)


def train(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Train a model by a recorded recipe on what nobody has had forgotten."""
    assert claim.model_id is not None
    with bench.store.begin() as db:
        model = registry.locked(db, claim.model_id)
        subject = rungs.subject(db, model)
        number = versions.reserve(model, claim.task)
        jobs.assign(db, claim, task=claim.task | {"number": number})
        gone = torch.tensor(datasets.forgotten(db, model.dataset_id), dtype=torch.int64)
        left_out = lineage.named_requests(db, model.dataset_id)
    rows = bench.lay(subject.dataset_id).split("train")
    rows = rows[~torch.isin(rows, gone)]
    recipe = shelf.lighter(Recipe(**claim.task["recipe"]), claim.task)
    net, seconds, log = _trained(bench, claim, pulse, subject, rows, recipe)
    kept = bench.store.blobs.put(weights.dump(net))
    pulse.enter(Phase.AUDITING)
    facts = VersionFacts(number=number, digest=kept.digest, method="train", seed=claim.seed)
    report, scores = _audited(bench, subject, net, facts, rows, gone, claim.seed)
    made = Made(
        number=number,
        weights=Blob(digest=kept.digest, size=kept.size, media_type=weights.MEDIA),
        scores=scores,
        params={},
        provenance=bench.provenance(claim.seed),
        report=report,
        updates=log,
        facts={"train_seconds": seconds},
    )
    trained_on: dict[str, Any] = {"splits": ["train"]}
    if left_out:
        trained_on["except_requests"] = [str(request) for request in left_out]
    pulse.enter(Phase.PUBLISHING)
    gauge.gauge(bench, subject)
    with bench.store.begin() as db:
        outcomes.publish_trained(db, claim, asdict(recipe), trained_on, made)


def _trained(
    bench: Bench, claim: Claim, pulse: Pulse, subject: Subject, rows: Tensor, recipe: Recipe
) -> tuple[nn.Module, float, Blob | None]:
    """The net, the seconds that it took, and the log of its updates if it was asked for."""
    if claim.task.get("log_updates"):
        return _logged(bench, claim, pulse, subject, rows, recipe)
    identity = checkpoints.identity(
        software=software(),
        recipe=asdict(recipe),
        rows=checkpoints.rows_digest(rows),
        seed=str(claim.seed),
        precision=bench.precision,
    )
    net = bench.net(subject, claim.seed)
    steps = training.fit(
        net,
        bench.lay(subject.dataset_id).samples(rows),
        recipe,
        rng=torch.Generator().manual_seed(claim.seed),
        precision=bench.precision,
        resume=checkpoints.found(bench.store, claim, identity),
    )
    pulse.enter(Phase.TRAINING)
    return net, drive(steps, bench.store, claim, pulse, identity), None


def _logged(
    bench: Bench, claim: Claim, pulse: Pulse, subject: Subject, rows: Tensor, recipe: Recipe
) -> tuple[nn.Module, float, Blob]:
    """The same with a log of every update; an attempt that is cut short begins anew.

    Raises:
        StorageFull: there is no room for the log, and for its copy while it is put away.
    """
    net = bench.net(subject, claim.seed)
    refuse_too_large(bench.store.blobs, *updates.size(net, recipe, len(rows)))
    with bench.store.blobs.workspace() as folder, (folder / "updates").open("w+b") as file:
        log = Recorder(file, net, rows)
        steps = training.fit(
            net,
            bench.lay(subject.dataset_id).samples(rows),
            recipe,
            rng=torch.Generator().manual_seed(claim.seed),
            precision=bench.precision,
            after=log,
        )
        pulse.enter(Phase.TRAINING)
        whole = (replace(step, state=None) for step in steps)  # a log has no place to resume
        seconds = drive(whole, bench.store, claim, pulse, "")
        kept = bench.store.blobs.take_in(log.pieces())
    return net, seconds, Blob(digest=kept.digest, size=kept.size, media_type=updates.MEDIA)


def refuse_too_large(blobs: Blobs, count: int, size: int) -> None:
    """Raise `StorageFull` where a log of so many updates and bytes finds no room beside its copy."""
    free = disk_usage(blobs.folder).free
    if 2 * size > free:
        raise StorageFull(
            f"The log of the {count} updates would take {size / 1e9:.1f} GB, and as much again "
            f"while it is put away; {free / 1e9:.1f} GB are free. Train in larger batches, for "
            "fewer epochs or without `log_updates`, or make room."
        )


def _audited(
    bench: Bench,
    subject: Subject,
    net: nn.Module,
    facts: VersionFacts,
    rows: Tensor,
    gone: Tensor,
    seed: int,
) -> tuple[Report, Blob]:
    candidate = Candidate(
        subject=subject,
        before=net,
        after=net,
        facts_before=facts,
        facts_after=facts,
        original=facts.number,
        known_before=None,
        goal="none",
        requested=NOTHING,
        removed=NOTHING,
        training=rows,
        retain=rows,
        forgotten=gone,
        provenance=bench.provenance(seed),
    )
    report, scores = auditing.audit(bench, candidate)
    return report, auditing.keep_scores(bench, scores)
