"""Drives a generator of steps to its end, with all the effects that guests may not have."""

from collections.abc import Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from time import monotonic, perf_counter

import torch

from models_store.claims import Claim
from models_store.failpoints import failpoint
from models_store.store import Store
from workers import checkpoints
from workers.kinds import Steps
from workers.pulse import Pulse, Stopped, Why

SHARE = 1 / 3
"""Of the time limit of a job, after which no further part is begun. What was finished within it
took at most that long, and the next part, were it trained on twice as many rows, the rest."""


def drive(steps: Steps, store: Store, claim: Claim, pulse: Pulse, run: str) -> float:
    """Run `steps` to the end, saving where they can be resumed; the seconds that they took.

    Saving is not counted. Raises `Stopped` when the work is not wanted any more, or when
    somebody more urgent waits and the state has just been saved.
    """
    saved, seconds, since = monotonic(), 0.0, perf_counter()
    with _ended(steps):
        for step in steps:
            failpoint("worker.step")
            pulse.step(step)
            if step.state is None or not _due(store, pulse, saved):
                continue
            seconds += perf_counter() - since
            checkpoints.keep(store, claim, run, step.state())
            failpoint("worker.checkpointed")
            if pulse.should_give_way:
                raise Stopped(Why.GIVE_WAY)
            saved, since = monotonic(), perf_counter()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # the last kernels are part of the work
    return seconds + perf_counter() - since


def within(steps: Steps, done: int, total: int) -> Steps:
    """The steps of one part of a job as those of the whole, of which so many parts are done."""
    for step in steps:
        yield replace(step, done=done * step.total + step.done, total=total * step.total)


def spent(store: Store, began: float) -> bool:
    """Has a job that began at this moment of `monotonic` used its share of the time limit?"""
    return monotonic() - began >= store.settings.job_time_limit.total_seconds() * SHARE


def _ended(steps: Steps) -> AbstractContextManager[object]:
    """Processes of a run on several devices end with it, before the job is given back."""
    return closing(steps) if isinstance(steps, Generator) else nullcontext()


def _due(store: Store, pulse: Pulse, saved: float) -> bool:
    period = store.settings.checkpoint_every.total_seconds()
    return pulse.should_give_way or monotonic() - saved >= period
