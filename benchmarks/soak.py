"""Two hundred requests while workers, Redis and PostgreSQL are killed: `python -m benchmarks.soak`.

Writes what was accepted, what came of it, and how soon lost jobs went on, to `results/soak.json`
(production timings) or `results/soak_test.json`.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the chaos tests' houses

import httpx
from furniture import furnish
from house import PATIENCE, QUICK, Room
from invariants import hold
from scene import Scene, settings_of, staged
from services import Postgres, Redis, Service
from sqlalchemy import func, select

from benchmarks import record
from models_store.life import REQUEST_ENDED, JobStatus, RequestStatus
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import Attempt, ForgetRequest, Job, Version

MODELS, REQUESTS, WORKERS = 10, 200, 3
BARS = {"test": 10.0, "production": 75.0}
"""Worst recovery, seconds."""


@dataclass
class Soak:
    """A run: requests go in at an even pace, and every now and then something dies."""

    scene: Scene
    postgres: Postgres
    redis: Redis
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    struck: list[tuple[UUID, int, datetime]] = field(default_factory=list)
    """Job, attempt and moment of each kill that hit a job."""
    workers: list[Room] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Submit everything within so many seconds, then wait for the ends."""
        began, every = monotonic(), seconds / REQUESTS
        next_kill = began + 3
        for number in range(REQUESTS):
            self.submit(number)
            self.tend()
            if monotonic() > next_kill and self.spare():
                self.strike()
                next_kill = monotonic() + self.chance.uniform(2, 5)
            sleep(max(0.0, began + (number + 1) * every - monotonic()))
        deadline = monotonic() + PATIENCE
        while self.open_requests() and monotonic() < deadline:
            self.tend()
            sleep(0.2)

    def strike(self) -> None:
        """Mostly a worker at its job; now and then what all of them need."""
        match self.chance.randrange(8):
            case 0:
                self.restart("redis", self.redis)
            case 1:
                self.restart("postgres", self.postgres)
            case _:
                self.kill_worker()

    def tend(self) -> None:
        """The supervisor's part: dead workers are started again."""
        self.workers = [room for room in self.workers if room.process.poll() is None]
        while len(self.workers) < WORKERS:
            self.workers.append(self.scene.house.open_worker(warm=False))

    def spare(self) -> bool:
        """Are two workers warm? Else the next kill would only prolong the last."""
        try:
            signed_in = set(self.scene.house.workers())
        except (httpx.TransportError, AssertionError):
            return False
        return len({room.log.stem for room in self.workers} & signed_in) >= WORKERS - 1

    def submit(self, number: int) -> None:
        """As a careful client: the same key until there is an answer."""
        body = {
            "model": f"digits-{number % MODELS}",
            "target": {"kind": "subjects", "subject_ids": [f"person-{number // MODELS:03d}"]},
            "lane": self.chance.choice(("fast", "quality", "exact")),
        }
        key = {"Idempotency-Key": f"soak-{number}"}
        while True:
            with suppress(httpx.TransportError):
                answer = self.scene.house.client.post("/forget-requests", json=body, headers=key)
                if answer.status_code == 202:
                    return
                assert answer.status_code == 503, answer.text
            sleep(0.2)

    def kill_worker(self) -> None:
        """kill -9 of a worker, its children included; preferably one that is at a job."""
        with self.scene.store.read() as db:
            running = select(Job.lease_owner, Job.id, Job.attempt).where(
                Job.status == JobStatus.RUNNING
            )
            held = {owner: (job, attempt) for owner, job, attempt in db.execute(running)}
        busy = [room for room in self.workers if room.log.stem in held]
        room = self.chance.choice(busy or self.workers)
        room.kill()
        self.kills["worker"] += 1
        if room.log.stem in held:
            self.struck.append((*held[room.log.stem], datetime.now(UTC)))

    def restart(self, name: str, service: Service) -> None:
        """kill -9, and a second later it is back."""
        service.kill()
        sleep(1)
        service.start()
        self.kills[name] += 1

    def open_requests(self) -> int:
        """How many have not ended."""
        still = select(func.count()).where(ForgetRequest.status.not_in(REQUEST_ENDED))
        with self.scene.store.read() as db:
            return db.scalar(still) or 0

    def recoveries(self) -> tuple[list[float], list[float]]:
        """Seconds from each kill that cost an attempt: until the job runs again, until it is queued.

        The first is what a person waits; the second is what lease and reaper answer for.
        """
        again, queued = [], []
        with self.scene.store.read() as db:
            for job, attempt, moment in self.struck:
                lost = db.get_one(Attempt, (job, attempt))
                following = db.get(Attempt, (job, attempt + 1))
                if lost.outcome == "failed" and lost.ended_at is not None:
                    queued.append((lost.ended_at - moment).total_seconds())
                if following is not None:
                    again.append((following.started_at - moment).total_seconds())
        return again, queued

    def result(self, timings: str) -> dict[str, Any]:
        """The keys of `soak.json`."""
        hold(self.scene.store)
        with self.scene.store.read() as db:
            ends = Counter(db.scalars(select(ForgetRequest.status)))
            versions = Counter(
                db.scalars(select(Version.job_id).where(Version.job_id.is_not(None)))
            )
            failures = db.scalars(
                select(ForgetRequest.failure).where(ForgetRequest.status == RequestStatus.FAILED)
            )
            codes = Counter(failure["code"] for failure in failures if failure is not None)
        finished = sum(ends[status] for status in REQUEST_ENDED)
        again, queued = self.recoveries()
        return {
            "accepted": sum(ends.values()),
            "finished": finished,
            "succeeded": ends[RequestStatus.SUCCEEDED],
            "failed": dict(codes),
            "lost": REQUESTS - finished,
            "duplicated": sum(ends.values()) - REQUESTS + sum(n - 1 for n in versions.values()),
            "kills": self.kills.total(),
            "killed": dict(self.kills),
            "recovery_seconds": spread(again),
            "queued_again_seconds": spread(queued),
            "timings": timings,
        }


def spread(seconds: list[float]) -> dict[str, float | None]:
    """Median, worst, and of how many."""
    if not seconds:
        return {"median": None, "worst": None, "count": 0}
    middle, worst = statistics.median(seconds), max(seconds)
    return {"median": round(middle, 2), "worst": round(worst, 2), "count": len(seconds)}


def timings_of(name: str) -> dict[str, str]:
    """`test`: the tests' own, with a shorter lease; `production`: those of the settings."""
    if name == "test":
        return {"LETHE_LEASE": "PT3S", "LETHE_BEAT_EVERY": "PT0.3S"}
    fields = {f"LETHE_{name.upper()}": one.default for name, one in Settings.model_fields.items()}
    return {name: f"PT{fields[name].total_seconds()}S" for name in QUICK}


def soak(folder: Path, timings: str, seconds: float, seed: int) -> dict[str, Any]:
    """Run it on services of its own."""
    postgres, redis = Postgres(), Redis()
    postgres.start()
    redis.start()
    where = {
        "LETHE_DATABASE_URL": postgres.url(postgres.create_database()),
        "LETHE_BROKER_URL": redis.url,
        "LETHE_BLOBS": str(folder / "blobs"),
        "LETHE_FAILPOINTS": "",
    }
    try:
        with staged(folder, "server", **where, **timings_of(timings)) as scene:
            scene.house.migrate()
            store = Store.open(settings_of(scene.house.environment))
            furnish(store, folder, models=MODELS)
            scene.house.open_api()
            run = Soak(scene, postgres, redis, random.Random(seed))  # noqa: S311 - which to kill is no secret
            run.run(seconds)
            return run.result(timings)
    finally:
        redis.remove()
        postgres.remove()


def main() -> None:
    """Read the command line, soak, write the result file, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timings", choices=["production", "test"], default="test")
    parser.add_argument("--seconds", type=float, default=180.0, help="in which requests come")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lethe-soak-", ignore_cleanup_errors=True) as folder:
        result = soak(Path(folder), options.timings, options.seconds, options.seed)
    around = {
        "machine": record.machine(),
        "versions": record.versions(),
        "commit": record.commit(),
        "settings": vars(options) | {"models": MODELS, "workers": WORKERS},
    }
    name = "soak.json" if options.timings == "production" else "soak_test.json"
    record.write(record.RESULTS / name, json.dumps({**result, **around}, indent=1) + "\n")
    print(result)
    worst = result["recovery_seconds"]["worst"]
    if result["lost"] or result["duplicated"] or not worst or worst > BARS[options.timings]:
        raise SystemExit("A bar was missed.")


if __name__ == "__main__":
    main()
