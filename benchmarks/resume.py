"""Runs that may be broken off: driven to their end, or to a deadline, and gone on with later."""

import json
import os
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from time import monotonic, perf_counter

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.count import Work
from workers.kinds import State, Steps
from workers.stages import inside, part

EVERY = 60.0
"""Seconds between two saves."""


class OutOfTimeError(Exception):
    """The deadline has passed; what was done so far is kept."""


def keep(path: Path, state: State) -> None:
    """Write a state, whole or not at all."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f"{path.name}.{os.getpid()}")
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        written,
        {"numbers": json.dumps(numbers)},
    )
    written.replace(path)


def found(path: Path) -> State | None:
    """What was written; None if nothing was."""
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        state: State = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        return state | json.loads(file.metadata()["numbers"])


@dataclass(slots=True)
class Run:
    """One run in a file of its own: how far it is, and what it took, in all its attempts."""

    path: Path
    until: float = inf
    """On the monotonic clock: at the first place to resume after it the run breaks off."""
    seconds: float = 0.0
    """That the steps took; saving is not counted."""
    work: Work = field(default_factory=Work)
    """That they did, where somebody counts."""
    kept: State | None = field(init=False)

    def __post_init__(self) -> None:
        self.kept = found(self.path)
        if self.kept is not None:
            self.seconds = float(self.kept["seconds"])
            self.work = Work(float(self.kept["forward"]), float(self.kept["backward"]))

    @property
    def state(self) -> State | None:
        """For `Given.resume`."""
        return part(self.kept, "run")

    def carry_out(self, steps: Steps) -> None:
        """To the end; the file is gone then. Raises `OutOfTimeError`."""
        saved, since = monotonic(), perf_counter()
        for step in steps:
            late = monotonic() > self.until
            if step.state is None or not (late or monotonic() - saved > EVERY):
                continue
            self.seconds += perf_counter() - since
            beside = {"seconds": self.seconds, **asdict(self.work)}
            keep(self.path, inside("run", step.state()) | beside)
            if late and step.done < step.total:
                raise OutOfTimeError
            saved, since = monotonic(), perf_counter()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the last kernels are part of the work
        self.seconds += perf_counter() - since
        self.path.unlink(missing_ok=True)
