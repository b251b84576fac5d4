"""A forget job in a straight line: load, unlearn, audit, publish; and a later audit of its result."""

from copy import deepcopy
from dataclasses import replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from models_store import forecast, outcomes, reviews, rungs
from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.life import Phase
from models_store.outcomes import Made
from models_store.rungs import Rung
from models_store.tables import Blob
from workers import (
    auditing,
    checkpoints,
    gauge,
    methods,
    parallel,
    pruned,
    shelf,
    sparsity,
    weights,
)
from workers.auditing import Candidate
from workers.bench import Bench, software
from workers.drive import drive
from workers.kinds import Given, Method, Recipe
from workers.pulse import Pulse, Stopped, Why
from workers.report import VersionFacts
from workers.updates import Log


def run(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Carry out one rung and publish its version."""
    with bench.store.begin() as db:
        rung = rungs.begin(db, claim)
    if rung is None:
        raise Stopped(Why.CANCELLED)
    gauge.gauge(bench, rung.subject)
    with bench.store.begin() as db:
        expected = forecast.note(db, claim, rung)
    made = forget(bench, claim, rung, pulse, expected)
    pulse.enter(Phase.PUBLISHING)
    with bench.store.begin() as db:
        outcomes.publish_rung(db, claim, rung, made)
        failpoint("publish.before_commit")
    failpoint("publish.after_commit")


def forget(bench: Bench, claim: Claim, rung: Rung, pulse: Pulse, expected: float | None) -> Made:
    """Unlearn and judge the result; nothing but blobs is written."""
    began = perf_counter()
    before = bench.loaded(rung.subject, rung.weights)
    method = shelf.make(shelf.take(methods, Method, rung.method), rung.params)
    method = shelf.lighter(method, claim.task)
    given, identity = _given(bench, claim, rung, needs=method.needs)
    run = partial(drive, store=bench.store, claim=claim, pulse=pulse, run=identity)
    start, since = pruned.start(rung, before, given, run), perf_counter()
    prepared = method.prepare(start.model, start.given)
    start = replace(start, given=replace(start.given, prepared=prepared))
    seconds, neighbours = perf_counter() - since, prepared.get("neighbours")
    pulse.enter(Phase.UNLEARNING, expected=expected)
    spread = parallel.spread(method, bench, rung, expected)
    seconds += run(start.steps(spread or method))
    after = deepcopy(before)
    after.load_state_dict(sparsity.plain(start.model))
    pulse.enter(Phase.AUDITING)
    kept = bench.store.blobs.put(weights.dump(after))
    facts = {
        "rte_seconds": seconds,
        "samples_per_second": len(given.forget) / seconds if seconds else 0.0,
        "peak_memory_bytes": float(bench.peak_memory(pulse.peak_memory)),
        "sparsity": sparsity.zeros(after),
        **{name: float(x) for name, x in prepared.items() if not isinstance(x, Tensor)},
    }
    if rung.prune is not None:
        facts["prune_seconds"] = start.seconds
    if spread is not None:
        facts["processes"] = float(spread.count)
    candidate = replace(
        _candidate(bench, rung, method, given, (before, after), kept.digest, claim),
        neighbours=neighbours if isinstance(neighbours, Tensor) else None,
        run=facts,
    )
    report, scores = auditing.audit(bench, candidate)
    return Made(
        number=rung.number,
        weights=Blob(digest=kept.digest, size=kept.size, media_type=weights.MEDIA),
        scores=auditing.keep_scores(bench, scores),
        params=rung.params,
        provenance={**candidate.provenance, **({"processes": spread.count} if spread else {})},
        report=report,
        facts=facts | {"seconds": perf_counter() - began},
    )


def review(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Audit a version that a forget job has made: by another tier, or once more."""
    with bench.store.read() as db:
        found = reviews.begin(db, claim)
    rung, version, made = found.rung, found.version, replace(claim, seed=found.seed)
    before = bench.loaded(rung.subject, rung.weights)
    after = bench.loaded(rung.subject, version.digest)
    method = shelf.make(shelf.take(methods, Method, rung.method), rung.params)
    given, _ = _given(bench, made, rung, needs=frozenset())
    pulse.enter(Phase.AUDITING)
    # What was pruned first was pushed from a net that nobody has kept.
    prepared = method.prepare(before, given) if rung.prune is None else {}
    neighbours = prepared.get("neighbours")
    candidate = replace(
        _candidate(bench, rung, method, given, (before, after), version.digest, made),
        known_after=bench.scores(version.scores),
        tier=found.tier,
        attempt=found.attempt,
        neighbours=neighbours if isinstance(neighbours, Tensor) else None,
        run=found.facts,
    )
    report, _ = auditing.audit(bench, candidate)
    pulse.enter(Phase.PUBLISHING)
    with bench.store.begin() as db:
        reviews.publish(db, claim, found, report)
        failpoint("review.before_commit")


def _candidate(
    bench: Bench,
    rung: Rung,
    method: Method,
    given: Given,
    models: tuple[nn.Module, nn.Module],
    digest: str,
    claim: Claim,
) -> Candidate:
    """A rung's version beside its base.

    Args:
        models: the base, and the version. digest: of the version's weights.
    """
    before, after = models
    return Candidate(
        subject=rung.subject,
        before=before,
        after=after,
        facts_before=VersionFacts(number=rung.base, digest=rung.weights),
        facts_after=VersionFacts(
            number=rung.number,
            digest=digest,
            method=rung.method,
            params=rung.params,
            prune=rung.prune or rung.sparse,
            seed=claim.seed,
            designed_for=sorted(method.designed_for),
        ),
        known_before=bench.scores(rung.scores),
        goal=rung.goal,
        requested=_requested(rung),
        removed=given.forget.index.cpu(),
        training=torch.tensor(rung.training),
        retain=given.retain.index.cpu(),
        forgotten=torch.tensor(rung.forgotten, dtype=torch.int64),
        original=rung.original,
        requests=rung.requests,
        provenance=bench.provenance(claim.seed)
        | {"params_from": rung.params_from}
        | _deviation(claim),
    )


def _given(bench: Bench, claim: Claim, rung: Rung, needs: frozenset[str]) -> tuple[Given, str]:
    """What the method may look at, and a digest of all that decides the run.

    Nothing that anybody has had forgotten may be retained, on this model or another.
    """
    laid = bench.lay(rung.subject.dataset_id)
    training, forget = torch.tensor(rung.training), torch.tensor(rung.forget, dtype=torch.int64)
    gone = torch.cat([forget, torch.tensor(rung.forgotten, dtype=torch.int64)])
    retain, holdout = training[~torch.isin(training, gone)], laid.split("holdout")
    identity = checkpoints.identity(
        software=software(),
        method=rung.method,
        params=rung.params,
        prune=rung.prune,
        base=rung.weights,
        forget=checkpoints.rows_digest(forget),
        retain=checkpoints.rows_digest(retain),
        seed=str(claim.seed),
        precision=bench.precision,
        **_deviation(claim),
    )
    recipe = Recipe(**rung.recipe) if rung.recipe is not None else None
    given = Given(
        forget=laid.samples(forget),
        retain=laid.samples(retain),
        holdout=laid.samples(holdout[~torch.isin(holdout, torch.cat([training, gone]))]),
        classes=len(rung.subject.class_names),
        fresh=lambda seed: bench.net(rung.subject, seed),
        recipe=shelf.lighter(recipe, claim.task),
        updates=_log(bench, rung) if "updates" in needs else None,
        rng=torch.Generator().manual_seed(claim.seed),
        precision=bench.precision,
        resume=checkpoints.found(bench.store, claim, identity),
    )
    return given, identity


def _log(bench: Bench, rung: Rung) -> Log | None:
    """The training log of the base; that of an ancestor no longer adds up to it."""
    return Log(bench.store.blobs.path(rung.updates)) if rung.updates is not None else None


def _deviation(claim: Claim) -> dict[str, bool]:
    """What was done otherwise than method and recipe say."""
    return {"half_batch": True} if claim.task.get("lighter") else {}


def _requested(rung: Rung) -> Tensor:
    """What the requests name of the training data, put together again from SQL's answer."""
    named = sorted(set().union(*rung.requests.values()))
    rows = torch.tensor(named, dtype=torch.int64)
    return rows[torch.isin(rows, torch.tensor(rung.training))]
