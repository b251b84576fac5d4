"""How much memory a long manifest takes, and how fast it answers: `python -m benchmarks.manifest`.

Tiny images with IDs and subjects, as Parquet, are imported by the code that a worker runs, each
time in a fresh process; then subjects are looked up by the query that the door runs. With
`--postgres` beside SQLite. Writes `results/manifest.json`.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the tests' services

from services import Postgres

from benchmarks import record
from models_store import datasets
from models_store.settings import Settings
from models_store.store import Store
from workers import tasks
from workers.bench import Bench, pick_device

SIDE, CLASSES, GROUP = 8, 10, 10_000
EACH = 10
"""Images of one subject."""
LOOKUPS = 500
BARS = {"p99_ms": 10.0, "over_first": 1.2}
MIB = 2**20


def written(path: Path, count: int) -> None:
    """A Parquet file of `count` images of 8 x 8 pixels: 256 different ones, by turns."""
    pictures = [_png(number) for number in range(256)]
    image = pa.struct([("bytes", pa.binary())])
    kinds = {
        "image": image, "label": pa.int64(), "sample_id": pa.string(),
        "subject_id": pa.string(), "split": pa.string(),
    }  # fmt: skip
    with pq.ParquetWriter(path, pa.schema(kinds.items())) as file:
        for start in range(0, count, GROUP):
            rows = range(start, min(start + GROUP, count))
            columns = {
                "image": [{"bytes": pictures[i % len(pictures)]} for i in rows],
                "label": [i % CLASSES for i in rows],
                "sample_id": [f"image-{i:08d}" for i in rows],
                "subject_id": [f"person-{i // EACH:07d}" for i in rows],
                "split": ["test" if i % 10 == 9 else "train" for i in rows],
            }
            file.write_table(pa.table(columns, schema=pa.schema(kinds.items())))


def _png(number: int) -> bytes:
    file, rng = BytesIO(), np.random.default_rng(number)
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), np.uint8)).save(file, "PNG")
    return file.getvalue()


def measured(settings: Settings, path: Path, count: int) -> record.Row:
    """Import the file in this process, which has done nothing else, and look subjects up."""
    store = Store.open(settings)
    bench = Bench(store=store, name="here", device=pick_device())
    before, begun = peak(), time.perf_counter()
    with store.begin() as db:
        source = {"path": str(path)}
        dataset, job = datasets.register(db, name="manifest", source=source, actor="benchmark")
    tasks.carry_out(bench, job.id)
    seconds, after = time.perf_counter() - begun, peak()
    with store.read() as db:
        found = datasets.get_ready(db, "manifest")
    assert sum(found.counts.values()) == count
    taken = sorted(looked_up(store, dataset.id, count))
    bench.lay(dataset.id)
    store.close()
    return {
        "seconds": round(seconds, 1),
        "peak_mib": round(after / MIB),
        "grew_mib": round((after - before) / MIB),
        "laid_out_mib": round(peak() / MIB),
        "p50_ms": round(taken[len(taken) // 2], 2),
        "p99_ms": round(taken[len(taken) * 99 // 100], 2),
    }


def looked_up(store: Store, dataset_id: UUID, count: int) -> Iterator[float]:
    """Milliseconds for all samples of a subject, of subjects by chance."""
    chance = random.Random(0)  # noqa: S311 - no secret
    for _ in range(LOOKUPS):
        subject = f"person-{chance.randrange(count // EACH):07d}"
        begun = time.perf_counter()
        with store.read() as db:
            rows = datasets.sample_page(db, dataset_id, after=-1, limit=50, subject=subject)
        yield (time.perf_counter() - begun) * 1000
        assert len(rows) == EACH


def peak() -> int:
    """The most memory that this process has held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def opened(database: str, folder: Path) -> Iterator[Settings]:
    """Settings of a fresh database with our tables."""
    server = Postgres() if database == "postgresql" else None
    chosen = {"LETHE_HOME": str(folder / "home")}
    try:
        if server is not None:
            server.start()
            chosen["LETHE_DATABASE_URL"] = server.url(server.create_database())
            chosen["LETHE_BLOBS"] = str(folder / "home" / "blobs")
        (folder / "home").mkdir()
        subprocess.run(
            [sys.executable, "-m", "alembic", "--config", "pyproject.toml", "upgrade", "head"],
            env=os.environ | chosen, cwd=record.ROOT, check=True, capture_output=True,
        )  # fmt: skip
        named = {name.removeprefix("LETHE_").lower(): value for name, value in chosen.items()}
        yield Settings.model_validate(named)
    finally:
        if server is not None:
            server.remove()


def main() -> None:
    """Measure what is asked and not yet there; fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    databases = ["sqlite", "postgresql"] if options.postgres else ["sqlite"]
    around = {"side": SIDE, "images_of_a_subject": EACH, "lookups": LOOKUPS}
    kept = record.Record(record.RESULTS / "manifest.json", around, ("database", "rows"))
    for key in ({"database": base, "rows": n} for base in databases for n in options.rows):
        if kept.has(key):
            continue
        with tempfile.TemporaryDirectory(prefix="lethe-manifest-") as folder:
            path = Path(folder) / "manifest.parquet"
            written(path, key["rows"])
            with (
                opened(key["database"], Path(folder)) as settings,
                ProcessPoolExecutor(1, get_context("spawn")) as pool,
            ):
                row = pool.submit(measured, settings, path, key["rows"]).result()
        kept.add(key | row)
        print(kept.rows[-1])
    if any(missed(row, kept.rows) for row in kept.rows):
        raise SystemExit("A bar was missed.")


def missed(row: record.Row, rows: list[record.Row]) -> bool:
    """Is a lookup too slow, or does memory grow with the manifest?"""
    first = next(each for each in rows if each["database"] == row["database"])
    grown = row["peak_mib"] / first["peak_mib"]
    return bool(row["p99_ms"] > BARS["p99_ms"] or grown > BARS["over_first"])


if __name__ == "__main__":
    main()
