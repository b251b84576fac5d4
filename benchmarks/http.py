"""How quick the door is: `python -m benchmarks.http`, on a machine that is quiet.

Real uvicorn (one process), PostgreSQL and Redis, and 100,000 requests stored; no worker, so that
nothing else is measured. Writes `results/http.json`.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the tests' houses and services

import world
from forms import form, safetensors
from house import KEY, QUICK
from pydantic import SecretStr
from scene import Scene, settings_of, staged
from services import Postgres, Redis, free_port
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from app.auth import Keys
from benchmarks import load, record
from benchmarks.load import Call
from models_store import datasets, registry
from models_store.columns import new_id
from models_store.datasets import SampleRow
from models_store.life import JobKind, JobStatus, Lane, Queue, RequestStatus
from models_store.store import Store
from models_store.tables import Blob, ForgetRequest, Job, RequestSample

STORED, MODELS, NAMED, CREATIONS = 100_000, 10, 10, 32
CHUNK = 10_000
PROCESSES = 2  # of the API
BULK = 10_000  # identifiers in one large request
BARS = {"post": 100.0, "status": 30.0, "not_modified": 15.0, "list": 60.0}
"""p99 in milliseconds."""
RATES = {"post": 100, "status": 100, "not_modified": 100, "list": 20}
"""Calls a second."""
POSTS = Path(__file__).parent / "posts.lua"
HEADERS = {"Authorization": f"Bearer {KEY}"}


class Door:
    """The service under load."""

    def __init__(self, scene: Scene, request_id: UUID, seconds: float) -> None:
        self.url = f"http://127.0.0.1:{scene.house.port}"
        self.status = f"/forget-requests/{request_id}"
        self.seconds = seconds
        self.tag = scene.house.client.get(self.status).headers["etag"]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every measurement."""
        known = {"headers": {"If-None-Match": self.tag}}
        calls: dict[str, Callable[[int], Call]] = {
            "status": lambda _: Call("GET", self.status),
            "not_modified": lambda _: Call("GET", self.status, 304, known),
            "list": lambda number: Call("GET", f"/forget-requests{FILTERS[number % len(FILTERS)]}"),
            "post": post,
        }
        for name, call in calls.items():
            answers = load.paced(self.url, HEADERS, call, RATES[name], self.seconds)
            yield {"call": name, "per_second": RATES[name], "bar_ms": BARS[name], **answers.row()}
        yield {"call": "create_versions", **self.creations()}
        yield {"call": "post_10000_ids", **self.large()}
        yield from self.throughput()

    def creations(self) -> dict[str, Any]:
        """Versions of one model, all at once."""
        meta = {"trained_on": {"splits": ["train"]}}
        kind = {"Content-Type": "multipart/form-data; boundary=xyz"}
        calls = [
            Call(
                "POST", "/models/model-0/versions", 202,
                {"content": form(meta, safetensors(float(number))), "headers": kind},
            )
            for number in range(CREATIONS)
        ]  # fmt: skip
        return {"together": CREATIONS, **load.together(self.url, HEADERS, calls).row()}

    def large(self) -> dict[str, Any]:
        """Requests with ten thousand identifiers, one after the other."""
        answers = load.Answers()
        for number in range(5):
            names = [name_of(number * BULK + each) for each in range(BULK)]
            call = Call("POST", "/forget-requests", 202, {"json": ask(f"model-{number}", names)})
            one = load.together(self.url, HEADERS, [call])
            answers.milliseconds += one.milliseconds
            answers.errors += one.errors
        return answers.row()

    def throughput(self) -> Iterator[dict[str, Any]]:
        """Answers a second, beside those of a FastAPI that does nothing in as many processes."""
        with load.bare(free_port(), PROCESSES) as url:
            nothing = load.flat_out(url, {}, self.seconds)
        if nothing is None:
            return
        yield {"call": "bare_fastapi", "answers_per_second": round(nothing)}
        tagged = HEADERS | {"If-None-Match": "no"}
        asking = HEADERS | {"Content-Type": "application/json"}
        calls = {"status": (self.status, tagged, None), "post": ("/forget-requests", asking, POSTS)}
        for name, (path, headers, script) in calls.items():
            found = load.flat_out(self.url + path, headers, self.seconds, script)
            assert found is not None
            yield {
                "call": f"{name}_flat_out",
                "answers_per_second": round(found),
                "over_bare": round(found / nothing, 3),
            }


FILTERS = ("", "?status=succeeded", "?model=model-3&status=queued", "?page_size=200")


def post(number: int) -> Call:
    """A request that nobody has made yet."""
    names = [name_of(STORED - 1 - NAMED * number - each) for each in range(NAMED)]
    return Call(
        "POST", "/forget-requests", 202,
        {"json": ask(f"model-{number % MODELS}", names), "headers": {"Idempotency-Key": f"{number}"}},
    )  # fmt: skip


def ask(model: str, names: list[str]) -> dict[str, Any]:
    """A body."""
    target = {"kind": "samples", "sample_ids": names}
    return {"model": model, "target": target, "lane": "quality"}


def name_of(number: int) -> str:
    """A sample's ID."""
    return f"sample-{number:06d}"


# ---- what stands in the store --------------------------------------------------------------------


def furnish(store: Store) -> UUID:
    """A dataset of 100,000 samples, ten models, and a request for each sample; one of them."""
    small = world.furnish(store)
    rows = [SampleRow(name_of(i), 100 + i, i % 4, "train", None) for i in range(STORED)]
    with store.begin() as db:
        for first in range(0, STORED, CHUNK):
            shard = Blob(digest=f"{first:064d}", size=1, media_type="shard")
            part = rows[first : first + CHUNK]
            datasets.add_shard(db, small.dataset_id, first // CHUNK + 1, shard, part)
        models = [
            registry.register(db, world.new_model(f"model-{n}"), "me").id for n in range(MODELS)
        ]
    for model_id in models:
        world.add_version(store, model_id)
    ids = [new_id() for _ in rows]
    with store.begin() as db:
        jobs = [_served(db, model_id) for model_id in models]
        for first in range(0, STORED, CHUNK):
            part = range(first, first + CHUNK)
            met = [stored(ids[i], models[i % MODELS], jobs[i % MODELS]) for i in part]
            db.execute(insert(ForgetRequest), met)
            named = [
                {"request_id": ids[i], "dataset_id": small.dataset_id, "position": 100 + i}
                for i in part
            ]
            db.execute(insert(RequestSample), named)
        db.execute(text("ANALYZE"))  # as autovacuum does within a minute
    return ids[STORED // 2]


def _served(db: Session, model_id: UUID) -> UUID:
    """A job that met requests long ago."""
    job = Job(
        kind=JobKind.FORGET, queue=Queue.QUALITY, status=JobStatus.SUCCEEDED, task={},
        model_id=model_id, method="boundary_shrink", seed=0,
    )  # fmt: skip
    db.add(job)
    db.flush()
    return job.id


def stored(request_id: UUID, model_id: UUID, job_id: UUID | None = None) -> dict[str, Any]:
    """A request that was met long ago."""
    return {
        "id": request_id, "owner": OWNER, "body_digest": "-", "model_id": model_id,
        "target": {"kind": "samples", "label": None}, "lane": Lane.FAST, "params": {},
        "status": RequestStatus.SUCCEEDED, "job_id": job_id, "target_count": 1, "already_forgotten": {"count": 0},
        "version": 1,
    }  # fmt: skip


OWNER = Keys.of([SecretStr(KEY)]).owner(KEY)


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Scene, Store]]:
    """The API over services of its own."""
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
        with staged(folder, "server", **where) as scene:
            for hurried in QUICK:  # as in production
                del scene.house.environment[hurried]
            scene.house.environment["WEB_CONCURRENCY"] = str(PROCESSES)
            scene.house.migrate()
            yield scene, Store.open(settings_of(scene.house.environment))
    finally:
        redis.remove()
        postgres.remove()


def main() -> None:
    """Read the command line, measure, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    options = parser.parse_args()
    settings = {
        **vars(options),
        "processes": PROCESSES,
        "stored": STORED,
        "models": MODELS,
        "identifiers": NAMED,
    }
    kept = record.Record(record.RESULTS / "http.json", settings, ("call",))
    with (
        tempfile.TemporaryDirectory(prefix="lethe-http-", ignore_cleanup_errors=True) as folder,
        opened(Path(folder)) as (scene, store),
    ):
        request_id = furnish(store)
        scene.house.open_api()
        for row in Door(scene, request_id, options.seconds).rows():
            kept.add(row)
            print(row)
    if any(row.get("errors") or row.get("p99_ms", 0) > row.get("bar_ms", 1e9) for row in kept.rows):
        raise SystemExit("A bar was missed.")


if __name__ == "__main__":
    main()
