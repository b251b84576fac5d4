"""What the tests of reference pools do over and over."""

from typing import Any
from uuid import UUID

from scene import Scene
from torch import Tensor

from models_store import pools, registry, versions
from models_store.life import MemberState
from models_store.pools import Retrains
from models_store.store import Store
from models_store.tables import PoolMember, Version
from workers import halves, tasks
from workers.bench import Bench

HALVES = 6
GONE = 4
"""The class that one retrain has not seen."""
MODEL = "digits-0"


def order(store: Store, size: int, retrains: list[Retrains] | None = None) -> UUID:
    with store.begin() as db:
        model = registry.get(db, MODEL, lock=True)
        return pools.order(db, model, size, retrains or [], "test").id


def members(store: Store, *states: MemberState) -> list[PoolMember]:
    with store.read() as db:
        return pools.members(db, pools.of_model(db, registry.get(db, MODEL)).id, *states)


def seen(member: PoolMember) -> Tensor:
    return halves.unpacked(member.trained, 600)


def version(scene: Scene, number: int) -> Version:
    with scene.store.read() as db:
        return versions.get(db, registry.get(db, MODEL).id, str(number))


def set_policy(scene: Scene, **policy: Any) -> None:
    with scene.store.begin() as db:
        registry.get(db, MODEL).policy = policy


def forget(scene: Scene, bench: Bench) -> UUID:
    """Retrain one model without three samples; the request, whose tier-1 audit waits."""
    request: UUID = scene.submit(0, seed=3)
    assert tasks.carry_out(bench, scene.job(request).id)
    return request
