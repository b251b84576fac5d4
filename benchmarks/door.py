"""The ratios of the door: answers over those of a FastAPI that does nothing, rows at once or singly."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the tests' houses

from scene import Scene

from benchmarks import http
from benchmarks.bed import Bed
from benchmarks.http import Door
from benchmarks.ratios import Ratios
from models_store import registry, requests
from models_store.columns import new_id
from models_store.requests import Ask
from models_store.store import Store
from models_store.tables import ForgetRequest, RequestSample
from models_store.targets import Target

NAMED, SECONDS = 5000, 10.0


def answers(_: Bed) -> Ratios:
    """Status and new requests, as fast as they are answered, with 100,000 stored; needs wrk."""
    with _furnished() as (scene, _, asked):
        scene.house.open_api()
        rows = {row["call"]: row for row in Door(scene, asked, SECONDS).throughput()}
    if not rows:
        raise SystemExit("Install wrk for these ratios.")
    return {
        f"G25_{name}_over_bare": rows[f"{name}_flat_out"]["over_bare"]
        for name in ("status", "post")
    }


def bulk(_: Bed) -> Ratios:
    """A request of 5,000 IDs: its rows one by one through the ORM, over the whole of `submit`."""
    with _furnished() as (_, store, asked):
        at_once = _at_once(store, [http.name_of(number) for number in range(NAMED)])
        return {"G26_rows_one_by_one_over_bulk": _one_by_one(store, asked) / at_once}


@contextmanager
def _furnished() -> Iterator[tuple[Scene, Store, UUID]]:
    with (
        tempfile.TemporaryDirectory(prefix="lethe-ratios-") as folder,
        http.opened(Path(folder)) as (scene, store),
    ):
        yield scene, store, http.furnish(store)


def _at_once(store: Store, names: list[str]) -> float:
    began = time.perf_counter()
    with store.begin() as db:
        target = Target("samples", names=tuple(names))
        ask = Ask(
            owner="bench", key=None, body_digest="-", model="model-0", target=target,
            lane=None, method=None,
        )  # fmt: skip
        requests.submit(db, ask)
    return time.perf_counter() - began


def _one_by_one(store: Store, like: UUID) -> float:
    with store.read() as db:
        model = db.get_one(ForgetRequest, like).model_id
        dataset = registry.get(db, str(model)).dataset_id
    began = time.perf_counter()
    with store.begin() as db:
        fresh = new_id()
        db.add(ForgetRequest(**http.stored(fresh, model)))
        for number in range(NAMED):
            db.add(RequestSample(request_id=fresh, dataset_id=dataset, position=100 + number))
            db.flush()
    return time.perf_counter() - began
