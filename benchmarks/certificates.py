"""Which methods earn a certificate on pictures full of noise: `python -m benchmarks.certificates`.

A small CNN learns 2,000 made-up pictures of four classes, each a pattern under much noise, partly by
heart. Then certificates are ordered and decided by the code that a worker runs. What the truth is
about retraining is known; the others are asked. Rows that are there are not measured again. Writes
`results/certificates.json`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.manifest import opened
from models_store import certificates, datasets, intake, offers, registry
from models_store.certificates import Order
from models_store.registry import NewModel
from models_store.store import Store
from workers import tasks, warmup
from workers.bench import Bench, pick_device

CLASSES, PICTURES, SIZE = 4, 2400, 100
NET = {"filters": 16}
RECIPE = {"epochs": 20, "batch_size": 64}
SHADOWS = {"samples": 12, "class": 6}
ASKED = [
    *(("samples", method) for method in ("retrain", "finetune", "random_labels", "l1_sparse")),
    *(("class", method) for method in ("retrain", "boundary_shrink", "random_labels")),
]
TOLD = ("estimate", "low", "high", "before", "n", "power", "verdict")


def pictures(path: Path) -> None:
    """Patterns of 8 x 8 pixels under noise; every sixth picture is a test picture."""
    chance, number = np.random.default_rng(0), np.arange(PICTURES)
    patterns, labels = chance.random((CLASSES, 8, 8, 1)), number % CLASSES
    noise = chance.standard_normal((PICTURES, 8, 8, 1))
    images = 127 + 60 * (patterns[labels] - 0.5) + 45 * noise
    np.savez(
        path,
        images=images.clip(0, 255).astype(np.uint8),
        labels=labels,
        sample_id=np.array([f"picture-{n:04d}" for n in number]),
        split=np.where(number % 6 == 5, "test", "train"),
    )


def furnished(store: Store, folder: Path) -> Bench:
    """The pictures, and a net that has learned them."""
    bench = Bench(store=store, name="here", device=pick_device())
    pictures(folder / "noise.npz")
    with store.begin() as db:
        offers.advertise(db, warmup.abilities())
        source = {"path": str(folder / "noise.npz")}
        _, imported = datasets.register(db, name="noise", source=source, actor="benchmark")
    tasks.carry_out(bench, imported.id)
    new = NewModel(
        name="noise", architecture="small_cnn", parameters=NET, dataset="noise", mean=[0.5],
        std=[0.5], policy={},
    )  # fmt: skip
    with store.begin() as db:
        model = registry.register(db, new, "benchmark")
        trained = intake.open_training(db, model, RECIPE, 7, "benchmark")
    tasks.carry_out(bench, trained.id)
    return bench


def decided(bench: Bench, kind: str, method: str) -> record.Row:
    """Order a certificate and decide on it."""
    size = SIZE if kind == "samples" else None
    wanted = Order(method=method, params={}, size=size, shadows=SHADOWS[kind])
    with bench.store.begin() as db:
        model = registry.get(db, "noise", lock=True)
        row = certificates.order(db, model, wanted, "benchmark")
    begun = time.perf_counter()
    tasks.carry_out(bench, row.job_id)
    with bench.store.read() as db:
        done, _ = certificates.get(db, row.id)
    return {
        "verdict": done.verdict,
        "reason": done.reason,
        "seconds": round(time.perf_counter() - begun, 1),
        "figures": {
            found["test"]: {name: found[name] for name in TOLD} for found in done.figures or []
        },
    }


def main() -> None:
    """Ask for what is not yet there; fail if retraining is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-most", type=int, default=len(ASKED), help="rows in this run")
    options = parser.parse_args()
    around = {"net": NET, "recipe": RECIPE, "pictures": PICTURES, "size": SIZE, "shadows": SHADOWS}
    kept = record.Record(record.RESULTS / "certificates.json", around, ("kind", "method"))
    keys = [{"kind": kind, "method": method} for kind, method in ASKED]
    missing = [key for key in keys if not kept.knows(key)][: options.at_most]
    with tempfile.TemporaryDirectory(prefix="lethe-certificates-") as name:
        folder = Path(name)
        with opened("sqlite", folder) as settings:
            store = Store.open(settings)
            bench = furnished(store, folder)
            for key in missing:
                kept.add(key | decided(bench, **key))
                print(kept.rows[-1])
            store.close()
    refused = [
        row for row in kept.rows if row["method"] == "retrain" and row["verdict"] == "refused"
    ]
    if refused:
        raise SystemExit("Retraining was refused a certificate.")


if __name__ == "__main__":
    main()
