"""How far off predictions are, and how warm a ready worker is: `python -m benchmarks.price`.

Real processes in a folder of their own; scikit-learn's digits and a small net, so that it takes a
minute. Writes `results/price.json`, on a machine that is quiet.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the tests' houses

from digits import digits_npz
from house import House, open_house

from benchmarks import record

SAMPLES, FILTERS, LEARNED = 1797, 32, 10
"""Predictions count from the job after the tenth."""
ROUNDS, FIFTH = 3, 5
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("boundary_expanding", {}),
    ("boundary_shrink", {"epochs": 4}),
    ("l1_sparse", {"epochs": 3}),
    ("l1_sparse", {"epochs": 8}),
    ("retrain", {}),
)
BARS = {"error": 0.25, "first_over_fifth": 1.2}


class Desk:
    """Hands in requests for samples that nobody has named yet."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.chance = house, random.Random(seed)  # noqa: S311 - sizes are no secret
        self.unnamed = [f"digit-{i:04d}" for i in range(SAMPLES) if i % 4]

    def job(self, method: str, params: dict[str, Any], size: int) -> dict[str, Any]:
        """Have so many samples forgotten; the job as it ended."""
        names = [self.unnamed.pop() for _ in range(size)]
        target = {"kind": "samples", "sample_ids": names}
        asked = self.house.ask(target, method=method, params=params)
        job: dict[str, Any] = self.house.finished_job(asked["job"])
        return job

    def errors(self, count: int) -> Iterator[float]:
        """Of each prediction, as a share of the true seconds."""
        for number in range(count):
            method, params = KINDS[number % len(KINDS)]
            job = self.job(method, params, self.chance.randint(5, 25))
            said, took = job["prediction"]["seconds"], job["result"]["seconds"]
            print(f"{method}: {said:.2f} s predicted, {took:.2f} s taken")
            yield abs(said / took - 1)

    def first_over_fifth(self) -> float:
        """Of the jobs of a worker that has just become ready."""
        worker = self.house.open_worker()
        taken = [seconds(self.job("l1_sparse", {"epochs": 3}, 5)) for _ in range(FIFTH)]
        worker.stop()
        print("after readiness:", " ".join(f"{each:.2f}" for each in taken), "s")
        return taken[0] / taken[-1]


def seconds(job: dict[str, Any]) -> float:
    """From a job's start to its end, by the service's clock."""
    began, ended = (datetime.fromisoformat(job[at]) for at in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


def furnish(house: House) -> None:
    """Import the digits, and train a net on them."""
    path = digits_npz(house.folder, SAMPLES)
    job = house.post("/datasets", 202, json={"name": "digits", "path": str(path)})["job"]
    house.finished_job(job)
    net = {"architecture": "small_cnn", "parameters": {"filters": FILTERS}}
    where = {"dataset": "digits", "mean": [0.5], "std": [0.5]}
    house.post("/models", 201, json={"name": "digits", **net, **where})
    recipe = {"epochs": 6, "batch_size": 64}
    house.finished_job(house.post("/models/digits/train", 202, json={"recipe": recipe})["id"])


def main() -> None:
    """Measure, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kept = record.Record(record.RESULTS / "price.json", vars(options), ("measure",))
    with (
        tempfile.TemporaryDirectory(prefix="lethe-price-") as folder,
        open_house(Path(folder)) as house,
    ):
        house.open_api()
        worker = house.open_worker()
        furnish(house)
        desk = Desk(house, options.seed)
        errors = list(desk.errors(options.jobs))
        worker.stop()
        rounds = [desk.first_over_fifth() for _ in range(ROUNDS)]
    measured = {"error": median(errors[LEARNED:]), "first_over_fifth": median(rounds)}
    for name, value in measured.items():
        kept.add({"measure": name, "value": round(value, 3), "must": BARS[name]})
        print(kept.rows[-1])
    if any(value > BARS[name] for name, value in measured.items()):
        raise SystemExit("A bar was missed.")


if __name__ == "__main__":
    main()
