"""The ratios of the service around the work: real processes, jobs by the dozen."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the tests' houses

from house import KEY, House, open_house

from benchmarks import http, price, service
from benchmarks.bed import HALF, Bed
from benchmarks.cifar10 import CLASSES, RECIPE
from benchmarks.price import Desk, seconds
from benchmarks.ratios import Ratios
from lethe.client import Client

JOBS, TOGETHER, NAMED = 20, 10, 100
ASKED = {"epochs": 2, "steps": 0}


def warm(_: Bed) -> Ratios:
    """How long a process takes until it works, beside a ready one; and its first job, its fifth."""
    with _folder() as folder, open_house(folder) as house:
        house.open_api()
        worker = house.open_worker()
        price.furnish(house)
        desk = Desk(house, 1)
        hot = median(_until_begun(desk) for _ in range(5))
        worker.stop()
        rounds = [desk.first_over_fifth() for _ in range(price.ROUNDS)]
        began = time.perf_counter()
        house.open_worker()
        cold = time.perf_counter() - began + hot
    return {"G15_first_job_over_fifth": median(rounds), "G15_cold_over_warm_start": cold / hot}


def around(_: Bed) -> Ratios:
    """What is around a job, from the POST to its written end: with PostgreSQL and Redis."""
    with _folder() as folder, http.opened(folder) as (scene, _store):
        scene.house.open_api()
        scene.house.open_worker()
        price.furnish(scene.house)
        desk = Desk(scene.house, 1)
        more = sorted(_beside(desk) for _ in range(JOBS))
    return {"G16_p95_seconds_around_a_job": more[ceil(0.95 * JOBS) - 1]}


def together(bed: Bed) -> Ratios:
    """Ten requests in one job over ten jobs, on the slice; audits included."""
    found: Ratios = {}
    with _slice(bed) as street:
        for method in ("l1_sparse", "boundary_expanding"):
            alone = sum(street.served(f"{method}-alone", method, [n]) for n in range(TOGETHER))
            all_at_once = street.served(f"{method}-together", method, list(range(TOGETHER)))
            found[f"G20_{method}_ten_together"] = all_at_once / alone
    return found


@dataclass
class Street:
    """A service with models of the slice, whose worker comes and goes."""

    house: House
    names: list[str]
    """Sample IDs of the slice."""

    def served(self, model: str, method: str, numbers: list[int]) -> float:
        """File requests while nobody works, then have them served; seconds of their jobs."""
        jobs = {self._filed(model, method, number) for number in numbers}
        worker = self.house.open_worker()
        taken = sum(seconds(self.house.finished_job(job, within=600)) for job in jobs)
        worker.stop()
        return taken

    def _filed(self, model: str, method: str, number: int) -> str:
        mine = self.names[number * NAMED : (number + 1) * NAMED]
        target = {"kind": "samples", "sample_ids": mine}
        body = {"model": model, "target": target, "method": method, "params": ASKED}
        return str(self.house.post("/forget-requests", 202, json=body)["job"])


@contextmanager
def _slice(bed: Bed) -> Iterator[Street]:
    """The slice imported, and a model registered for each of the four runs."""
    folder_of_models = bed.models / "all_cnn_slice"
    names = (folder_of_models / "slice_ids.txt").read_text().split()
    roots = {"LETHE_IMPORT_ROOTS": str(bed.data.resolve()), "OMP_NUM_THREADS": "2"}
    with _folder() as folder, open_house(folder, **roots) as house:
        house.open_api()
        worker = house.open_worker()
        with Client(f"http://127.0.0.1:{house.port}", KEY) as client:
            desk = service.House(client, folder / "home")
            desk.bring_in(bed.data / "cifar10", CLASSES)
            weights = folder_of_models / "original.safetensors"
            for method in ("l1_sparse", "boundary_expanding"):
                for how in ("alone", "together"):
                    seen = {"sample_ids": names}
                    desk.register(f"{method}-{how}", HALF, weights, seen, RECIPE)
        worker.stop()
        yield Street(house, names)


def _until_begun(desk: Desk) -> float:
    """From the POST to a ready worker until its job begins."""
    began = time.time()
    job = desk.job("l1_sparse", {"epochs": 1}, 5)
    return datetime.fromisoformat(job["started_at"]).timestamp() - began


def _beside(desk: Desk) -> float:
    """From the POST until it is written that the job has ended, less the job."""
    began = time.time()
    job = desk.job("l1_sparse", {"epochs": 3}, 5)
    return datetime.fromisoformat(job["finished_at"]).timestamp() - began - seconds(job)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lethe-ratios-") as folder:
        yield Path(folder)
