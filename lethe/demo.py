"""`make demo`: a service from nothing, a model of digits, two deletion requests, their audits."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from lethe import datasets, models, report, requests, rooms, up
from lethe.client import Client, Json
from lethe.screen import Hand

DIGITS = rooms.ROOT / "docs" / "examples" / "digits.py"
MODEL = {
    "name": "digits",
    "architecture": "small_cnn",
    "parameters": {},
    "dataset": "digits",
    "mean": [0.5],
    "std": [0.5],
}
RECIPE = {"epochs": 12, "batch_size": 64, "learning_rate": 0.05}
LABEL = "4"
SAMPLES = 25


def run(home: Path, port: int, say: Callable[[str], None]) -> None:
    """Show everything once; then leave the service running, unless DEMO_EXIT is set.

    Every demo has a folder of its own inside `home`, so that none finds the data of another.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads only slow down a net this small
    folder = home / time.strftime("%Y%m%d-%H%M%S")
    with up.service(folder, port, say):
        url = f"http://{up.LOOPBACK}:{port}"
        say(f"The service is up at {url}; its data are in {folder}.")
        with Client(url) as client:
            show(Hand(client, as_json=False), folder)
        if os.environ.get("DEMO_EXIT"):
            return
        _what_next(url, say)
        up.until_interrupted()


def show(held: Hand, folder: Path) -> None:
    """The story itself, over HTTP."""
    _title(held, "1. Images and a model")
    images = folder / "digits.npz"
    subprocess.run([sys.executable, str(DIGITS), str(images)], check=True)
    datasets.bring_in(held, images, {"name": "digits"})
    held.client.post("/models", MODEL)
    models.train_here(held, "digits", RECIPE, seed=0)
    report.show(held, held.client.get("/models/digits/audit"))

    _title(held, f"2. Forget the class {LABEL}, in the fast lane")
    _forget(held, {"kind": "class", "label": LABEL}, "fast")

    _title(held, f"3. Forget {SAMPLES} single images, in the quality lane")
    ids = [sample["sample_id"] for sample in islice(_still_known(held), SAMPLES)]
    _forget(held, {"kind": "samples", "sample_ids": ids}, "quality")


def _forget(held: Hand, target: Json, lane: str) -> None:
    request = held.client.forget({"model": "digits", "target": target, "lane": lane})
    requests.follow(held, request)
    report.show(held, held.client.get("/models/digits/audit"))


def _still_known(held: Hand) -> Iterator[Json]:
    return held.client.items("/datasets/digits/samples", split="train", forgotten=False)


def _title(held: Hand, text: str) -> None:
    held.console.rule(text, align="left")


def _what_next(url: str, say: Callable[[str], None]) -> None:
    for line in (
        "",
        f"The service goes on at {url} until Ctrl-C (dashboard: {url}/dashboard). In another shell:",
        "  .venv/bin/lethe requests list",
        "  .venv/bin/lethe models versions digits",
        "  .venv/bin/lethe audit digits --html report.html",
        "  .venv/bin/lethe forget digits --class 7",
        f"  curl {url}/models/digits/audit",
    ):
        say(line)
