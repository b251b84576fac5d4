"""A long run on several devices: the same method in processes of torchrun, below this one.

The processes (`teammate`) are told everything in a folder. Process 0 says each step on its standard
output, and where the run can be resumed it waits for a word on its standard input: `save` or `go`.
When that input closes, because the run is over, is not wanted, or its parent died, all of them end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from models_store.rungs import Rung, Subject
from models_store.settings import Settings
from workers import checkpoints, sparsity
from workers.bench import Bench
from workers.kinds import Given, Method, State, Step, Steps
from workers.stages import inside

ORDERS, TENSORS, STATE = "orders.json", "given.safetensors", "state.safetensors"
SETS = ("forget", "retain", "holdout")
PATIENCE = 30.0
"""Seconds in which processes that were told to end do so."""
OUT_OF_MEMORY = "out of memory"


def spread(method: Method, bench: Bench, rung: Rung, expected: float | None) -> "Spread | None":
    """The method in several processes, if it will take so long that they are worth it.

    Args:
        expected: seconds that it should take in one.
    """
    settings = bench.store.settings
    count = settings.parallel or 1
    if bench.device.type == "cuda":
        count = min(settings.parallel or torch.cuda.device_count(), torch.cuda.device_count())
    short = expected is None or expected <= settings.parallel_above.total_seconds()
    if count == 1 or short or "updates" in method.needs:
        return None
    return Spread(method, rung.method, bench, rung.subject, count)


@dataclass(frozen=True, slots=True)
class Spread:
    """Stands in for a method: what it yields, and leaves in the model, is what the processes do."""

    method: Method
    name: str
    bench: Bench
    subject: Subject
    count: int

    def unlearn(self, model: nn.Module, given: Given) -> Generator[Step, None, None]:
        """Run it; closed at any step, it ends the processes.

        Raises:
            MemoryError: one of the processes had not enough.
            RuntimeError: one of them failed, or ended.
        """
        with TemporaryDirectory(prefix="lethe-parallel-") as name:
            folder = Path(name)
            self._brief(folder, model, given)
            with self._running(folder) as child:
                yield from _steps(folder, child)
            state = checkpoints.load((folder / STATE).read_bytes())
        model.load_state_dict(tensors(state))

    def _brief(self, folder: Path, model: nn.Module, given: Given) -> None:
        orders = {
            "subject": TypeAdapter(Subject).dump_python(self.subject, mode="json"),
            "method": self.name,
            "params": asdict(self.method),  # type: ignore[call-overload] # all are dataclasses
            "recipe": None if given.recipe is None else asdict(given.recipe),
            "precision": given.precision,
            "settings": _reachable(self.bench.store.settings),
        }
        (folder / ORDERS).write_text(json.dumps(orders))
        state: State = inside("model", {**model.state_dict()})
        state |= inside("mask", {**sparsity.masks(model)}) | {"rng": given.rng.get_state()}
        state |= {each: getattr(given, each).index for each in SETS}
        state |= inside("prepared", given.prepared or {}) | inside("resume", given.resume or {})
        (folder / TENSORS).write_bytes(checkpoints.dump(state))

    @contextmanager
    def _running(self, folder: Path) -> Iterator["subprocess.Popen[str]"]:
        threads = max(1, torch.get_num_threads() // self.count)
        own = {"OMP_NUM_THREADS": str(threads)}
        if self.bench.device.type == "cpu":
            own["CUDA_VISIBLE_DEVICES"] = ""
        if sys.platform == "linux":
            own["GLOO_SOCKET_IFNAME"] = "lo"  # all of them are on this host
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command(folder, self.count), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | own, start_new_session=True,
        )  # fmt: skip
        assert child.stdin is not None
        try:
            yield child
        finally:
            with suppress(OSError):
                child.stdin.close()
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            assert child.stdout is not None
            child.stdout.close()


def command(folder: Path, count: int) -> list[str]:
    """How the processes are started."""
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr",
        "127.0.0.1", "--nproc-per-node", str(count), "--module", "workers.teammate", str(folder),
    ]  # fmt: skip


def _steps(folder: Path, child: "subprocess.Popen[str]") -> Steps:
    """What process 0 says, as steps, until it says that it has left the result."""
    assert child.stdin is not None
    assert child.stdout is not None
    for line in child.stdout:
        said = json.loads(line)
        if "failed" in said:
            raise (MemoryError if said["failed"] == OUT_OF_MEMORY else RuntimeError)(said["detail"])
        if "left" in said:
            child.wait(PATIENCE)
            return
        resumable = said.pop("resumable")

        def save() -> State:
            tell(child.stdin, "save")
            assert child.stdout is not None
            child.stdout.readline()
            return checkpoints.load((folder / STATE).read_bytes())

        yield Step(**said, state=save if resumable else None)
        if resumable:
            tell(child.stdin, "go")
    raise RuntimeError(
        "A process of a run on several devices ended; the log of the worker has why."
    )


def tell(pipe: IO[str] | None, what: str) -> None:
    """A line into a pipe, at once."""
    assert pipe is not None
    pipe.write(f"{what}\n")
    pipe.flush()


def _reachable(settings: Settings) -> dict[str, str]:
    """What the processes must know to read the dataset, as a setting each."""
    url, shards = settings.database_url, settings.shards
    found = {"home": str(settings.home.resolve()), "blobs": str(settings.blob_folder)}
    found |= {"database_url": url.get_secret_value()} if url else {}
    return found | ({"shards": shards} if shards else {})


def tensors(state: State | None) -> dict[str, Tensor]:
    """The tensors of a state."""
    return {key: value for key, value in (state or {}).items() if isinstance(value, Tensor)}
