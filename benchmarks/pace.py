"""How fast steps go: several runs side by side, in turns, so that a noisy machine is noisy to all."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

from workers.kinds import Step, Steps

WARM, BLOCK, ROUNDS = 3, 10, 3
SIZES = {"cpu": (1024, 2048, 4096), "cuda": (2048, 4096, 8192)}
TRIES = 5


@dataclass(frozen=True)
class Pace:
    """Of one run."""

    step: float
    """Seconds of a step, in the middle of `ROUNDS` blocks."""
    steps: int
    """How many the whole run has."""

    @property
    def whole(self) -> float:
        """Seconds of the whole run, less what comes before its first step."""
        return self.step * self.steps


def side_by_side(runs: Mapping[str, Steps], block: int = BLOCK) -> dict[str, Pace]:
    """Advance the runs by turns, a block of steps each; a run that has ended has no turn."""
    last = {name: _advanced(steps, WARM)[0] for name, steps in runs.items()}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, steps in runs.items():
            _synchronise()
            began = time.perf_counter()
            step, done = _advanced(steps, block)
            _synchronise()
            if done:
                taken[name].append((time.perf_counter() - began) / done)
                last[name] = step
    return {name: Pace(median(taken[name]), _total(last[name])) for name in runs}


def _advanced(steps: Steps, count: int) -> tuple[Step | None, int]:
    """The last of the next `count` steps, and how many there were."""
    step, done = None, 0
    while done < count and (following := next(steps, None)) is not None:
        step, done = following, done + 1
    return step, done


def _total(step: Step | None) -> int:
    assert step is not None, "a run without steps"
    return step.total


def seconds(call: Callable[[], object]) -> float:
    """Wall clock of a call, and of the kernels that it started."""
    _synchronise()
    began = time.perf_counter()
    call()
    _synchronise()
    return time.perf_counter() - began


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matmul_rate(dtype: torch.dtype = torch.bfloat16) -> float:
    """FLOP/s of the best square product: what the machine can do at most."""
    best, device = 0.0, "cuda" if torch.cuda.is_available() else "cpu"
    for size in SIZES[device]:
        left = torch.randn(size, size, dtype=dtype, device=device)
        left @ left
        for _ in range(TRIES):
            best = max(best, 2 * size**3 / seconds(lambda: left @ left))  # noqa: B023 - called now
    return best
