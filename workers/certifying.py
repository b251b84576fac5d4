"""A certify job: shadows are trained, forget and speak, one after the other; then they are weighed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from time import monotonic

import torch
from torch import Tensor, nn

from models_store import shadows
from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.life import Goal, Phase
from models_store.shadows import Outcome, Series
from models_store.tables import Blob
from workers import certificate, checkpoints, methods, roles, scoring, shelf, showings, training
from workers.bench import Bench, Laid, software
from workers.certificate import Certified
from workers.drive import drive, spent, within
from workers.evidence import Scores
from workers.kinds import Given, Method, Recipe, Samples, State, Steps
from workers.pulse import Pulse, Stopped, Why
from workers.roles import Cast, Role
from workers.showings import Showing
from workers.signals import correct, margin
from workers.stages import inside, keeping, part

Carry = Callable[[Steps], float]
"""Carries a run out; the seconds that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One net of a series, and what it is trained on."""

    number: int
    total: int
    cast: Cast
    retain: Tensor
    """(n,) int64: what it keeps, on the CPU."""
    forgets: bool
    """False for a net that is retrained on what the one before it kept."""
    seed: int


def run(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Train what is left to train, then decide; a later attempt goes on where this one ends.

    Between two nets, as at every checkpoint, it makes way for whoever is more urgent.
    """
    began = monotonic()
    pulse.enter(Phase.TRAINING)
    while True:
        with bench.store.read() as db:
            series = shadows.begin(db, claim)
        if len(series.shadows) == total(series):
            break
        withdrawn = _spoken(bench, claim, pulse, series)
        failpoint("certify.shadow_kept")
        if withdrawn:
            raise Stopped(Why.CANCELLED)
        if pulse.should_give_way or spent(bench.store, began):
            raise Stopped(Why.GIVE_WAY)
    pulse.enter(Phase.AUDITING)
    decided = _decided(bench, series)
    outcome = Outcome(
        verdict=decided.verdict,
        reason=decided.reason,
        figures=[asdict(found) for found in decided.findings],
        trained=len(series.training),
    )
    with bench.store.begin() as db:
        shadows.finish(db, claim, series, outcome)


def total(series: Series) -> int:
    """Nets in all: a shadow each and one with canaries, or two for each class that is forgotten."""
    row = series.certificate
    return row.shadows + 1 if row.goal is Goal.SAMPLES else 2 * row.shadows


def _decided(bench: Bench, series: Series) -> Certified:
    said, gone = [_read(bench, series, n) for n in range(total(series))], _rows(series.forgotten)
    if series.certificate.goal is Goal.SAMPLES:
        return certificate.of_samples(said[:-1], said[-1], gone, series.attempt)
    return certificate.of_classes(
        list(zip(said[::2], said[1::2], strict=True)), gone, series.attempt
    )


def _read(bench: Bench, series: Series, number: int) -> Showing:
    return showings.read(bench.store.blobs.read(series.shadows[number].said))


def _rows(positions: list[int]) -> Tensor:
    return torch.tensor(positions, dtype=torch.int64)


# ---- who is planted ------------------------------------------------------------------------------


def _next(bench: Bench, claim: Claim, series: Series, laid: Laid) -> Part:
    """Decided by the seed and by what earlier nets were shown, so that another attempt decides alike."""
    number, training = len(series.shadows), _rows(series.training)
    cast = _cast(bench, claim, series, laid.labels.cpu()).without(_rows(series.forgotten))
    away = torch.cat([cast.of(Role.OUT), cast.of(Role.UNLEARN)])
    return Part(
        number=number,
        total=total(series),
        cast=cast,
        retain=training[~torch.isin(training, away)],
        forgets=series.certificate.goal is Goal.SAMPLES or number % 2 == 0,
        seed=(claim.seed + number) % 2**61,
    )


def _cast(bench: Bench, claim: Claim, series: Series, labels: Tensor) -> Cast:
    row, number, training = series.certificate, len(series.shadows), _rows(series.training)
    if row.goal is Goal.CLASS:
        if number % 2:
            before = _read(bench, series, number - 1)
            return Cast(rows=before.rows, roles=before.roles, labels=before.labels)
        gone = roles.turn_of(labels[training], number // 2, claim.seed)
        return roles.class_run(training, labels[training], gone, claim.seed + number)
    if number < row.shadows:
        planted = (
            _read(bench, series, 0).rows
            if number
            else scoring.proportionate(training, labels, roles.BLOCK * row.size, claim.seed)
        )
        return roles.thirds(planted, labels[planted], claim.seed, number)
    tossed = scoring.proportionate(training, labels, 2 * row.size, claim.seed + 1)
    return roles.coins(tossed, labels[tossed], len(series.subject.class_names), claim.seed)


# ---- one net -------------------------------------------------------------------------------------


def _spoken(bench: Bench, claim: Claim, pulse: Pulse, series: Series) -> bool:
    """Train the next net, let it forget, and write down what it says; was the job withdrawn?"""
    began, laid = monotonic(), bench.lay(series.subject.dataset_id)
    here = _next(bench, claim, series, laid)
    run = _identity(bench, series, here)
    given = _given(bench, series, here, laid, checkpoints.found(bench.store, claim, run))
    carry = partial(drive, store=bench.store, claim=claim, pulse=pulse, run=run)
    net = bench.net(series.subject, here.seed)
    planted = replace(given.retain, index=here.cast.rows.to(given.retain.index.device))
    learned = _trained(here, net, given, carry)
    before = after = scoring.score(net, planted, precision=bench.precision)
    if here.forgets:
        _forget(_method(series), net, given, here, learned, carry)
        after = scoring.score(net, planted, precision=bench.precision)
    kept = bench.store.blobs.put(showings.dump(_showing(here.cast, before, after)))
    said = Blob(digest=kept.digest, size=kept.size, media_type=showings.MEDIA)
    with bench.store.begin() as db:
        return shadows.add(db, claim, here.number, said, monotonic() - began)


def _given(bench: Bench, series: Series, here: Part, laid: Laid, resume: State | None) -> Given:
    """What the method may look at; what is planted under a wrong label has it everywhere."""
    labels = laid.labels.clone()
    labels[here.cast.rows.to(labels.device)] = here.cast.labels.to(labels.device)
    held = laid.split("holdout")
    known = torch.tensor(series.training + series.forgotten, dtype=torch.int64)

    def samples(rows: Tensor) -> Samples:
        return replace(laid.samples(rows), labels=labels)

    return Given(
        forget=samples(here.cast.of(Role.UNLEARN)),
        retain=samples(here.retain),
        holdout=samples(held[~torch.isin(held, known)]),
        classes=len(series.subject.class_names),
        fresh=lambda seed: bench.net(series.subject, seed),
        recipe=Recipe(**series.recipe),
        rng=torch.Generator().manual_seed(here.seed + here.total),  # no other net's
        precision=bench.precision,
        resume=resume,
    )


def _method(series: Series) -> Method:
    row = series.certificate
    return shelf.make(shelf.take(methods, Method, row.method), row.params)


def _identity(bench: Bench, series: Series, here: Part) -> str:
    return checkpoints.identity(
        software=software(),
        method=series.certificate.method,
        params=series.certificate.params,
        recipe=series.recipe,
        number=here.number,
        planted=[checkpoints.rows_digest(each) for each in (here.cast.rows, here.cast.roles)],
        retain=checkpoints.rows_digest(here.retain),
        seed=str(here.seed),
        precision=bench.precision,
    )


def _showing(cast: Cast, before: Scores, after: Scores) -> Showing:
    return Showing(
        rows=cast.rows,
        roles=cast.roles,
        labels=cast.labels,
        before=torch.from_numpy(margin(before)),
        after=torch.from_numpy(margin(after)),
        right_before=torch.from_numpy(correct(before)),
        right_after=torch.from_numpy(correct(after)),
    )


def _trained(here: Part, net: nn.Module, given: Given, carry: Carry) -> State:
    """Train a net on what it is to know, or take it as an earlier attempt left it; its weights."""
    known = part(given.resume, "trained")
    if known is not None:
        net.load_state_dict(
            {name: each for name, each in known.items() if isinstance(each, Tensor)}
        )
        return known
    assert given.recipe is not None
    index = given.retain.index
    if here.forgets:
        index = torch.cat([index, given.forget.index]).sort().values
    steps = training.fit(
        net,
        replace(given.retain, index=index),
        given.recipe,
        rng=torch.Generator().manual_seed(here.seed),
        precision=given.precision,
        resume=part(given.resume, "training"),
    )
    own = (keeping(step, "training", {}) for step in steps)
    carry(within(own, 2 * here.number, 2 * here.total))
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def _forget(
    method: Method, net: nn.Module, given: Given, here: Part, learned: State, carry: Carry
) -> None:
    """Let a net forget; resumed, it need not be trained again."""
    own = replace(given, resume=part(given.resume, "method"))
    own = replace(own, prepared=method.prepare(net, own))
    beside = inside("trained", learned)
    steps = (keeping(step, "method", beside) for step in method.unlearn(net, own))
    carry(within(steps, 2 * here.number + 1, 2 * here.total))
