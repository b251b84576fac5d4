"""What the tests of certificates do over and over, in the small world of the store."""

from typing import Any
from uuid import UUID

from world import World

from models_store import certificates, pools, registry, shadows
from models_store.certificates import Order, Use
from models_store.claims import Claim
from models_store.life import Goal, Grant
from models_store.shadows import Outcome, Series
from models_store.tables import Blob, Certificate

GRANTED = Outcome(verdict=Grant.GRANTED, reason="All passed.", figures=[{"test": "a"}], trained=32)
USE = Use(method="l1_sparse", params={}, prune=None, goal=Goal.SAMPLES, size=5)


def order(world: World, **wanted: Any) -> Certificate:
    asked = {"method": "l1_sparse", "params": {}, "size": 5, "shadows": 9} | wanted
    with world.store.begin() as db:
        return certificates.order(db, registry.get(db, "zoo"), Order(**asked), "me")


def begun(world: World, job: UUID) -> tuple[Claim, Series]:
    claim = world.claim(job)
    assert claim is not None
    with world.store.read() as db:
        return claim, shadows.begin(db, claim)


def spoken(world: World, claim: Claim, number: int) -> str:
    kept = world.store.blobs.put(f"shadow {claim.job_id} {number}".encode())
    with world.store.begin() as db:
        said = Blob(digest=kept.digest, size=kept.size, media_type="shadow")
        shadows.add(db, claim, number, said, 1.0)
    return kept.digest


def decided(world: World, outcome: Outcome = GRANTED, **wanted: Any) -> Certificate:
    claim, series = begun(world, order(world, **wanted).job_id)
    with world.store.begin() as db:
        return shadows.finish(db, claim, series, outcome)


def covering(world: World, use: Use = USE) -> Certificate | None:
    with world.store.read() as db:
        model = registry.get(db, "zoo")
        return certificates.covering(db, model, pools.root_of(db, model), use)
