"""A house whose forget jobs run in two processes, and what a method is given in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from furniture import furnish
from scene import Scene, staged

from models_store import registry, rungs, versions
from models_store.rungs import Subject
from workers.bench import Bench
from workers.kinds import Given, State

COUNT = 2


@contextmanager
def opened(folder: Path, template: Path) -> Iterator[Scene]:
    """The digits, one model, and a short method counts as long."""
    (folder / "home").mkdir()
    (folder / "home" / "lethe.db").write_bytes(template.read_bytes())
    several = {"LETHE_PARALLEL": str(COUNT), "LETHE_PARALLEL_ABOVE": "PT0S"}
    with staged(folder, "embedded", **several) as scene:
        furnish(scene.store, folder, models=1)
        yield scene


def bench_of(scene: Scene) -> Bench:
    """A bench on the CPU, in float32."""
    return Bench(store=scene.store, name="here", device=torch.device("cpu"), precision="fp32")


def subject_of(scene: Scene) -> Subject:
    """The model."""
    with scene.store.read() as db:
        return rungs.subject(db, registry.get(db, "digits-0"))


def trained(bench: Bench, subject: Subject) -> torch.nn.Module:
    """The model's first version."""
    with bench.store.read() as db:
        digest = versions.get(db, subject.model_id, "1").digest
    return bench.loaded(subject, digest)


def given(bench: Bench, subject: Subject, resume: State | None = None) -> Given:
    """Images to forget for two batches that can be cut in two, and for one of nine that cannot."""
    laid = bench.lay(subject.dataset_id)
    rows = laid.split("train")
    return Given(
        forget=laid.samples(rows[:41]),
        retain=laid.samples(rows[41:400]),
        holdout=laid.samples(rows[:0]),
        classes=len(subject.class_names),
        fresh=lambda seed: bench.net(subject, seed),
        rng=torch.Generator().manual_seed(5),
        precision="fp32",
        resume=resume,
    )
