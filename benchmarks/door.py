"""The ratios of the door: answers over those of a FastAPI that does nothing, rows at once or singly."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the tests' houses

from scene import Scene
from sqlalchemy.orm import Session

from benchmarks import http
from benchmarks.bed import Bed
from benchmarks.http import Door
from benchmarks.ratios import Ratios
from models_store import registry, targets
from models_store.columns import new_id
from models_store.store import Store
from models_store.tables import Dataset, ForgetRequest, RequestSample
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
    """The rows of a request of 5,000 IDs: one by one through the ORM, over one statement for all.

    The latter also looks whether the dataset has them.
    """
    with _furnished() as (_, store, asked):
        return {
            "G26_rows_one_by_one_over_bulk": _written(store, asked, _singly)
            / _written(store, asked, _at_once)
        }


@contextmanager
def _furnished() -> Iterator[tuple[Scene, Store, UUID]]:
    with (
        tempfile.TemporaryDirectory(prefix="lethe-ratios-") as folder,
        http.opened(Path(folder)) as (scene, store),
    ):
        yield scene, store, http.furnish(store)


def _written(store: Store, like: UUID, write: Callable[[Session, ForgetRequest], None]) -> float:
    """Seconds until they stand there for good; the request they belong to stands before."""
    fresh = new_id()
    with store.begin() as db:
        model = db.get_one(ForgetRequest, like).model_id
        db.add(ForgetRequest(**http.stored(fresh, model)))
    began = time.perf_counter()
    with store.begin() as db:
        write(db, db.get_one(ForgetRequest, fresh))
    return time.perf_counter() - began


def _at_once(db: Session, request: ForgetRequest) -> None:
    names = tuple(http.name_of(number) for number in range(NAMED))
    wanted = targets.sought(db, _dataset(db, request), Target("samples", names))
    targets.write_down(db, request, wanted)


def _singly(db: Session, request: ForgetRequest) -> None:
    dataset = _dataset(db, request)
    for number in range(NAMED):
        db.add(RequestSample(request_id=request.id, dataset_id=dataset.id, position=100 + number))
        db.flush()


def _dataset(db: Session, request: ForgetRequest) -> Dataset:
    return db.get_one(Dataset, registry.get(db, str(request.model_id)).dataset_id)
