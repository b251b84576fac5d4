"""Before a worker takes work: imports, the device, one dummy step, and what it can do, in SQL."""

import inspect
import logging
import os
import resource
import socket
from collections.abc import Sequence
from time import sleep

import torch
from torch import nn

from models_store import crew, offers
from models_store.crew import Badge
from models_store.errors import Unavailable
from models_store.life import Queue
from models_store.offers import Ability
from models_store.store import Store
from workers import audits, methods, pruning, shelf
from workers.bench import Bench, describe, pick_device, software
from workers.evidence import Audit
from workers.kinds import Method, Recipe
from workers.pulse import keep_signing
from workers.sparsity import Pruner

log = logging.getLogger("lethe.worker")


def ready(store: Store, name: str, queues: Sequence[Queue]) -> Bench:
    """A bench that has done its first step, in a process that has signed in."""
    if (limit := store.settings.memory_limit) is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    bench = Bench(store=store, name=name, device=pick_device())
    _one_step(bench.device)
    badge = Badge(
        name=name,
        queues=[queue.value for queue in queues],
        device=describe(bench.device),
        host=socket.gethostname(),
        pid=os.getpid(),
        software=software(),
    )
    _sign_in(store, badge)
    keep_signing(store, name)
    return bench


def _sign_in(store: Store, badge: Badge) -> None:
    """Once the database answers: a child that is replaced while it is away waits for it."""
    can = abilities()
    while True:
        try:
            with store.begin() as db:
                offers.advertise(db, can)
                crew.sign_in(db, badge)
        except Unavailable as away:
            log.warning("%s", away)
            sleep(1.0)
        else:
            return


def abilities() -> list[Ability]:
    """Everything on the shelves, with parameters as JSON Schema."""
    found = [_ability("audit", name, kind) for name, kind in shelf.on(audits, Audit).items()]
    for name, kind in shelf.on(methods, Method).items():
        traits = {"designed_for": sorted(kind.designed_for), **_needs(kind)}
        found.append(_ability("method", name, kind, traits))
    for name, pruner in shelf.on(pruning, Pruner).items():
        found.append(_ability("pruner", name, pruner, _needs(pruner)))
    found += [Ability("net", net.name, net.about, net.schema, {}) for net in shelf.architectures()]
    found.append(_ability("recipe", "default", Recipe))
    return found


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
