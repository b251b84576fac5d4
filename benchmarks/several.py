"""The ratios of several processes, each of which runs this module and says what its steps took."""

import json
import os
import resource
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from benchmarks.bed import Bed
from benchmarks.ratios import Ratios, of_shelf
from workers.memory import keep

WARM, STEPS = 3, 30
TEAM, ALONE = "team", "alone"


def jobs(bed: Bed) -> Ratios:
    """One job of two threads, two jobs of one thread each, and one job in two processes."""
    one = _told(bed, "l1_sparse", count=1)[0]["step"]
    apart = [each["step"] for each in _told(bed, "l1_sparse", count=2)]
    team = _told(bed, "l1_sparse", TEAM, count=2)[0]["step"]
    return {
        "G23_two_jobs_over_one": sum(one / each for each in apart),
        "G24_team_of_two_over_one": one / team,
    }


def memory(bed: Bed) -> Ratios:
    """The most memory that a process of Shrink has held, with many images to retain and with few."""
    many, few = (
        _told(bed, "boundary_shrink", ALONE, retain, count=1)[0]["memory"]
        for retain in (45_000, 4500)
    )
    return {"G18_shrink_memory_45000_over_4500": many / few}


def _told(
    bed: Bed, method: str, how: str = ALONE, retain: int = 45_000, *, count: int
) -> list[dict[str, Any]]:
    """What each of `count` processes says, which share the threads."""
    threads = max(1, torch.get_num_threads() // count)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr",
             "127.0.0.1", "--nproc-per-node", str(count), "--module", "benchmarks.several",
             str(bed.data), str(bed.models), method, how, str(retain)]  # fmt: skip
    own = {"OMP_NUM_THREADS": str(threads)}
    said = subprocess.run(
        words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | own
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def main(data: str, models: str, method: str, how: str, retain: str) -> None:
    """One of the processes: `torchrun -m benchmarks.several DATA MODELS METHOD team|alone RETAIN`."""
    keep()  # as a worker does
    distributed.init_process_group("gloo")
    bed = Bed.made(Path(data), Path(models))
    run = of_shelf(method).unlearn(bed.net(), bed.given(retain=int(retain)))
    distributed.barrier()  # so that all of them are at work at the same time
    if how == ALONE:
        distributed.destroy_process_group()
    for _ in islice(run, WARM):
        pass
    began = time.perf_counter()
    done = len(list(islice(run, STEPS)))
    step = (time.perf_counter() - began) / done
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if how == TEAM:
        distributed.destroy_process_group()
    sys.stdout.write(json.dumps({"step": step, "memory": kib}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
