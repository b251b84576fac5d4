"""Freed memory stays with a worker while a job runs, and goes back to the system after it."""

import json
import subprocess
import sys

import pytest

BLOCK = 48  # MiB; beyond what glibc keeps by itself
ROUNDS = 20
PAGES = BLOCK * 256  # of 4 KiB, in a block

SCRIPT = f"""
import json, resource, sys
from workers import memory
if "keep" in sys.argv:
    memory.keep()
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def fill():
    torch.ones({BLOCK} * 2**20, dtype=torch.uint8)

fill()
before = faults()
for _ in range({ROUNDS}):
    fill()
found = {{"faults": faults() - before, "held": resident()}}
memory.let_go()
print(json.dumps(found | {{"left": resident()}}))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="is about glibc")


def told(*words: str) -> dict[str, int]:
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, int] = json.loads(said.stdout)
    return found


def test_a_block_that_was_freed_is_used_again() -> None:
    assert told("keep")["faults"] < PAGES  # less than a single round would cost
    assert told()["faults"] > PAGES * ROUNDS / 2  # and that is what it spares


def test_between_jobs_nothing_is_held_that_is_free() -> None:
    found = told("keep")
    assert found["held"] - found["left"] > PAGES / 2
