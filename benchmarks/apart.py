"""Runs that take their turns in a process of their own, with memory as Python sets it up."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from workers.kinds import Step, Steps


def steps(made: Callable[..., Steps], *words: Any) -> Steps:
    """The steps of `made(*words)`, a function of a module: each is made there when it is asked for."""
    context = get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, made, words), daemon=True)
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


def _serve(far: Connection, made: Callable[..., Steps], words: tuple[Any, ...]) -> None:
    os.environ.pop("THP_MEM_ALLOC_ENABLE", None)  # of a worker; see workers/memory.py
    run = made(*words)
    while far.recv() and (step := next(run, None)) is not None:
        far.send((step.done, step.total))
