"""Before a worker takes work: imports, the device, data, a few steps of each net, and what it can do."""

import inspect
import logging
import os
import resource
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from time import sleep

import torch
from torch import nn

from models_store import crew, offers, registry, rungs
from models_store.crew import Badge
from models_store.errors import Unavailable
from models_store.life import Queue
from models_store.offers import Ability
from models_store.recipe_files import RecipeFile
from models_store.rungs import Subject
from models_store.store import Store
from workers import audits, gauge, memory, methods, pruning, recipes, shelf, tuning
from workers.bench import KEPT, Bench, describe, pick_device, software
from workers.evidence import Audit
from workers.kinds import Method, Recipe
from workers.pulse import STOPPING, keep_signing
from workers.sparsity import Pruner

log = logging.getLogger("lethe.worker")

MODELS = 50
"""So many of the newest models are prepared; the nets and data that they share, once."""


def ready(store: Store, name: str, queues: Sequence[Queue]) -> Bench:
    """A bench that has everything at hand, in a process that is signed in and said to be ready."""
    memory.keep()
    if (limit := store.settings.memory_limit) is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    bench = Bench(store=store, name=name, device=pick_device())
    badge = Badge(
        name=name,
        queues=[queue.value for queue in queues],
        device=describe(bench.device),
        host=socket.gethostname(),
        pid=os.getpid(),
        software=software(),
    )

    def come_in() -> None:
        with store.begin() as db:
            crew.sign_in(db, badge)

    def open_up() -> None:
        with store.begin() as db:
            offers.advertise(db, can)
            crew.tell(db, name, bench.rates)

    _once_there(come_in)
    keep_signing(store, name)
    can = abilities()
    _one_step(bench.device)
    gauge.begin(bench)
    for subject in _subjects(store):
        _prepare(bench, subject)
    _once_there(open_up)
    return bench


def _once_there(act: Callable[[], None]) -> None:
    """Once the database answers: a child that is replaced while it is away waits for it."""
    while True:
        try:
            act()
        except Unavailable as away:
            log.warning("%s", away)
            sleep(1.0)
        else:
            return


def _subjects(store: Store) -> list[Subject]:
    """The newest models, of as many datasets as stay loaded; none while the database is away."""
    with suppress(Unavailable), store.read() as db:
        models = registry.page(db, None, MODELS)
        loaded = list(dict.fromkeys(model.dataset_id for model in models))[:KEPT]
        return [rungs.subject(db, model) for model in models if model.dataset_id in loaded]
    return []


def _prepare(bench: Bench, subject: Subject) -> None:
    """Lay out a model's dataset and try its net; a model that cannot be is told by its jobs."""
    if STOPPING.is_set():
        return
    try:
        bench.lay(subject.dataset_id)
        gauge.measure(bench, subject)
    except Exception:
        log.exception("%s is not prepared: its first job will take longer, or fail", subject.name)


def abilities() -> list[Ability]:
    """Everything on the shelves, with parameters as JSON Schema."""
    found = [_ability("audit", name, kind) for name, kind in shelf.on(audits, Audit).items()]
    for name, kind in shelf.on(methods, Method).items():
        traits = {
            "designed_for": sorted(kind.designed_for),
            "cost": asdict(kind.cost()),
            "tunable": bool(kind.space),
            **_needs(kind),
        }
        traits |= {"rehearsal": tuning.announced(kind)} if kind.space else {}
        found.append(_ability("method", name, kind, traits))
    for name, pruner in shelf.on(pruning, Pruner).items():
        found.append(_ability("pruner", name, pruner, _needs(pruner)))
    found += [Ability("net", net.name, net.about, net.schema, {}) for net in shelf.architectures()]
    found.append(_ability("recipe", "default", Recipe))
    return found + [_tuned(name, file) for name, file in recipes.found().items()]


def _tuned(name: str, file: RecipeFile) -> Ability:
    """The parameters of a recipe file, and which models it fits."""
    fits = {
        "dataset": file.dataset,
        "architecture": file.architecture,
        "parameters": file.parameters,
    }
    params = {
        goal.value: {method: each.params for method, each in tuned.items()}
        for goal, tuned in file.tuned.items()
    }
    return Ability("tuned", name, file.about, {}, fits | params)


def _needs(kind: type[Method] | type[Pruner]) -> dict[str, object]:
    return {"needs": sorted(kind.needs), "exact": kind.exact}


def _ability(kind: str, name: str, thing: type, traits: dict[str, object] | None = None) -> Ability:
    return Ability(kind, name, inspect.getdoc(thing) or "", shelf.schema(thing), traits or {})


def _one_step(device: torch.device) -> None:
    """Pay for the first kernels, the allocator and the thread pool now, and not in a job."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(8 * 6 * 6, 2)).to(device)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with torch.autocast(device.type, torch.bfloat16):
        loss = net(torch.rand(4, 3, 8, 8, device=device)).float().square().mean()
    loss.backward()
    optimiser.step()
