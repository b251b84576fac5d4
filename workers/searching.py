"""A tuning job: a method's parameters are tried one after the other, and each try is kept at once."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from models_store import tunings
from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.life import Phase
from models_store.tables import Trial
from models_store.tunings import Tuning
from workers import checkpoints, gathering, methods, rehearsal, shelf, tuning
from workers.bench import Bench, software
from workers.drive import drive, within
from workers.kinds import Given, Method, Recipe, Steps
from workers.pulse import Pulse, Stopped, Why
from workers.rehearsal import Figures, Rehearsal
from workers.updates import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all tries of a job share."""

    found: Tuning
    kind: type[Method]
    planned: list[dict[str, Any]]
    base: nn.Module
    rehearsed: Rehearsal
    wanted: Figures


def run(bench: Bench, claim: Claim, pulse: Pulse) -> None:
    """Try what is left to try; a later attempt goes on where this one ends.

    Between two tries, as at every checkpoint, it makes way for a fast job.
    """
    with bench.store.read() as db:
        found = tunings.begin(db, claim)
    task = _task(bench, claim, found)
    pulse.enter(Phase.UNLEARNING)
    for number in range(len(found.trials), len(task.planned)):
        trial = _tried(bench, claim, pulse, task, number)
        with bench.store.begin() as db:
            withdrawn = tunings.add(db, claim, trial)
        failpoint("tune.tried")
        if withdrawn:
            raise Stopped(Why.CANCELLED)
        if pulse.should_give_way:
            raise Stopped(Why.GIVE_WAY)
    with bench.store.begin() as db:
        tried = tunings.trials(db, claim.job_id)
        best = tuning.best([trial.figures for trial in tried], task.wanted)
        if tried[best].gap > tried[0].gap:
            best = 0  # targets moved, as images were forgotten between two attempts
        tunings.finish(db, claim, best, dict(task.wanted))


def _task(bench: Bench, claim: Claim, found: Tuning) -> Task:
    kind = shelf.take(methods, Method, claim.task["method"])
    base = bench.loaded(found.subject, found.weights).eval()
    rehearsed = _rehearsed(bench, claim, found)
    references = _references(bench, found, rehearsed)
    return Task(
        found=found,
        kind=kind,
        planned=tuning.candidates(kind, claim.seed),
        base=base,
        rehearsed=rehearsed,
        wanted=rehearsal.target(base, rehearsed, references, bench.precision),
    )


def _tried(bench: Bench, claim: Claim, pulse: Pulse, task: Task, number: int) -> Trial:
    """One try; if it was cut short, it goes on from its checkpoint."""
    rehearsed, params = task.rehearsed, task.planned[number]
    identity = checkpoints.identity(
        software=software(),
        method=claim.task["method"],
        params=params,
        base=task.found.weights,
        forget=checkpoints.rows_digest(rehearsed.forget.index.cpu()),
        retain=checkpoints.rows_digest(rehearsed.retain.index.cpu()),
        precision=bench.precision,
    )
    resume = checkpoints.found(bench.store, claim, identity)
    asked = replace(_given(bench, task.found, rehearsed), resume=resume)

    def carried_out(steps: Steps) -> float:
        return drive(within(steps, number, len(task.planned)), bench.store, claim, pulse, identity)

    done = tuning.trial(task.kind, params, task.base, rehearsed, task.wanted, asked, carried_out)
    return Trial(
        number=number,
        params=done.params,
        figures=dict(done.figures),
        gap=done.gap,
        seconds=done.seconds,
    )


def _rehearsed(bench: Bench, claim: Claim, found: Tuning) -> Rehearsal:
    """Of training and hold-out images only; the seed of the job decides."""
    laid, task = bench.lay(found.subject.dataset_id), claim.task
    held = laid.split("holdout")
    known = torch.tensor(found.seen + found.forgotten, dtype=torch.int64)
    return rehearsal.rehearsal(
        laid.samples(torch.tensor(found.training, dtype=torch.int64)),
        laid.samples(held[~torch.isin(held, known)]),
        label=task.get("label"),
        size=task.get("size"),
        seed=claim.seed,
    )


def _references(bench: Bench, found: Tuning, rehearsed: Rehearsal) -> list[nn.Module]:
    """Nets of the model's pool that were trained without what is rehearsed, and on the rest."""
    rows = rehearsed.forget.index.cpu()
    _, retrains = gathering.gather(bench, found.subject, found.original, rows, rows)
    return [retrain.model() for retrain in retrains]


def _given(bench: Bench, found: Tuning, rehearsed: Rehearsal) -> Given:
    nobody: Tensor = rehearsed.forget.index[:0]
    empty = replace(rehearsed.forget, index=nobody)
    asked = Given(
        forget=empty,
        retain=empty,
        holdout=empty,
        classes=len(found.subject.class_names),
        fresh=lambda seed: bench.net(found.subject, seed),
        recipe=Recipe(**found.recipe) if found.recipe is not None else None,
        updates=Log(bench.store.blobs.path(found.updates)) if found.updates else None,
        precision=bench.precision,
    )
    return rehearsal.given(asked, rehearsed)
