"""What the tests of tunings do over and over, in the small world of the store."""

from typing import Any
from uuid import UUID

import world as made
from world import World

from models_store import offers, registry, tunings
from models_store.claims import Claim
from models_store.offers import Ability
from models_store.store import Store
from models_store.tables import Job, Trial
from models_store.targets import Target
from models_store.tunings import Order

CLASS = Target("class", label="deer")
OMP = {"method": "omp", "sparsity": 0.9, "params": {}}


def furnish(store: Store) -> World:
    """The small world with methods that can be tuned, and pruners."""
    found = made.furnish(store)
    anything: dict[str, Any] = {"type": "object"}
    epochs = {"type": "integer", "minimum": 1}
    strict = {"type": "object", "additionalProperties": False, "properties": {"epochs": epochs}}
    with store.begin() as db:
        offers.advertise(
            db,
            [
                Ability("method", "l1_sparse", "Fades.", strict, {"tunable": True}),
                Ability("method", "amnesiac", "Takes back.", anything,
                        {"needs": ["updates"], "tunable": True}),
                Ability("pruner", "omp", "Cuts.", anything, {}),
                Ability("pruner", "imp", "Trains and cuts.", anything, {"needs": ["recipe"]}),
            ],
        )  # fmt: skip
    return found


def order(world: World, **wanted: Any) -> UUID:
    asked = {"method": "l1_sparse", "label": "deer"} | wanted
    with world.store.begin() as db:
        return tunings.order(db, registry.get(db, "zoo"), Order(**asked), "me").id


def begun(world: World, job: UUID) -> Claim:
    claim = world.claim(job)
    assert claim is not None
    return claim


def tried(world: World, claim: Claim, *gaps: float) -> None:
    for number, gap in enumerate(gaps):
        params = {"epochs": number} if number else {}
        with world.store.begin() as db:
            trial = Trial(number=number, params=params, figures={}, gap=gap, seconds=1.0)
            tunings.add(db, claim, trial)


def tuned(world: World, *gaps: float, **wanted: Any) -> UUID:
    """A tuning that has ended, its tries with these gaps."""
    job = order(world, **wanted)
    claim = begun(world, job)
    tried(world, claim, *gaps)
    with world.store.begin() as db:
        tunings.finish(db, claim, gaps.index(min(gaps)), {"forget": 0.0})
    return job


def adopt(world: World, job: UUID) -> None:
    with world.store.begin() as db:
        model = registry.get(db, "zoo")
        tunings.adopt(db, model, tunings.get(db, model, job), "me")


def row(world: World, job: UUID) -> Job:
    with world.store.read() as db:
        return db.get_one(Job, job)
