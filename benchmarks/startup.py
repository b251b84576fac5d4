"""How long the door takes to open: `python -m benchmarks.startup`, on a machine that is quiet.

A fresh interpreter imports and creates the application (no torch in it); beside it, in the same
run, one that only imports FastAPI. The two take turns; each row is the median of seven.
"""

import os
import subprocess
import sys
import time
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import record

ROUNDS = 7
TASKS = {
    "fastapi": "import fastapi",
    "app": "from app.main import from_environment; from_environment()",
}


def main() -> None:
    """Measure, and write `results/startup.json`."""
    with TemporaryDirectory() as home:
        seconds: dict[str, list[float]] = {name: [] for name in TASKS}
        for _ in range(ROUNDS + 1):
            for name, code in TASKS.items():
                seconds[name].append(_timed(code, home))
    kept = record.Record(record.RESULTS / "startup.json", {"rounds": ROUNDS}, ("name",))
    plain = median(seconds["fastapi"][1:])  # the first round fills the caches
    for name, taken in seconds.items():
        row = {"name": name, "seconds": round(median(taken[1:]), 3)}
        kept.add(row | {"over_fastapi": round(median(taken[1:]) / plain, 2)})
        print(kept.rows[-1])


def _timed(code: str, home: str) -> float:
    environment = {**os.environ, "LETHE_HOME": home, "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=record.ROOT, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
