"""Runs that take their turns in a process of their own, with memory as Python sets it up."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.bed import Bed
from workers.kinds import Step, Steps

Run = Callable[[Bed], Steps]


def steps(run: Run, bed: Bed) -> Steps:
    """The steps of `run`, a function of a module: each is made when it is asked for, over there."""
    context = get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, run, bed.data, bed.models), daemon=True)
    process.start()
    far.close()
    try:
        while True:
            near.send("next")
            try:
                done, total = near.recv()
            except EOFError:
                return
            yield Step(done=done, total=total)
    finally:
        process.kill()


def _serve(far: Connection, run: Run, data: Path, models: Path) -> None:
    os.environ.pop("THP_MEM_ALLOC_ENABLE", None)  # of a worker; see workers/memory.py
    made = run(Bed.made(data, models))
    while far.recv() and (step := next(made, None)) is not None:
        far.send((step.done, step.total))
