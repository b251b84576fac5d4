"""Requests that prune first, the versions they make, and training logs, as the store sees them."""

from typing import Any

import pytest
import world as made
from world import RECIPE, World

from models_store import erasure, offers, versions
from models_store.errors import InvalidParams, NoRecipe
from models_store.life import VersionState
from models_store.offers import Ability
from models_store.store import Store
from models_store.tables import Blob, Tombstone, Version
from models_store.targets import Target

CLASS = Target("class", (), 2)
OMP = {"method": "omp", "sparsity": 0.9, "params": {}}


@pytest.fixture
def world(store: Store) -> World:
    found = made.furnish(store)
    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    sparse = {"type": "object", "additionalProperties": False, "properties": {"sparsity": share}}
    anything: dict[str, Any] = {"type": "object"}
    with store.begin() as db:
        offers.advertise(
            db,
            [
                Ability("pruner", "omp", "Cuts.", sparse, {"needs": [], "exact": False}),
                Ability("pruner", "synflow", "Grows.", sparse, {"needs": ["recipe"], "exact": True}),
                Ability("method", "amnesiac", "Takes back.", anything, {"needs": ["updates"]}),
            ],
        )  # fmt: skip
    return found


def pruned(world: World, method: str, prune: dict[str, Any] | None, verdict: str) -> Version:
    request = world.ask(CLASS, lane=None, method=method, prune=prune)
    return world.version(world.serve_request(request, verdict).number)


def test_the_version_keeps_by_what_it_became_sparse_and_so_does_the_next(world: World) -> None:
    sparse = pruned(world, "l1_sparse", OMP, "pass")
    claim, rung = world.begin(
        world.ask(Target("class", (), 1), lane=None, method="l1_sparse").job_id
    )
    later = world.publish(claim, rung)

    assert (rung.prune, rung.sparse) == (None, OMP)
    assert (sparse.prune, later.prune) == (OMP, OMP)


def test_retraining_a_sparse_model_starts_dense(world: World) -> None:
    pruned(world, "l1_sparse", OMP, "pass")
    claim, rung = world.begin(world.ask(Target("class", (), 1), lane=None, method="retrain").job_id)

    assert (rung.prune, rung.sparse) == (None, None)
    assert world.publish(claim, rung).prune is None


@pytest.mark.parametrize(("pruner", "assured"), [(None, True), ("synflow", True), ("omp", False)])
def test_retraining_is_exact_only_if_the_masks_never_saw_the_forget_set(
    world: World, pruner: str | None, assured: bool
) -> None:
    prune = {"method": pruner, "sparsity": 0.9, "params": {}} if pruner else None

    assert pruned(world, "retrain", prune, "inconclusive").assured is assured


def test_requests_that_prune_alike_share_a_job_and_others_do_not(world: World) -> None:
    asked = [
        world.ask(Target("class", (), label), lane=None, method="l1_sparse", prune=prune)
        for label, prune in enumerate((OMP, OMP, OMP | {"sparsity": 0.5}, None))
    ]

    jobs = [request.job_id for request in asked]
    assert jobs[0] == jobs[1]
    assert len(set(jobs)) == 3


@pytest.mark.parametrize(
    ("prune", "why"),
    [
        (OMP | {"sparsity": 1.5}, "sparsity"),
        (OMP | {"params": {"depth": 1}}, "depth"),
        (OMP | {"method": "opm"}, "nearest are omp"),
    ],
)
def test_a_pruner_is_checked_by_its_offer(world: World, prune: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidParams, match=why):
        world.ask(CLASS, lane=None, method="l1_sparse", prune=prune)


def test_a_pruner_that_trains_needs_the_recipe(store: Store, world: World) -> None:
    with store.begin() as db:
        version = db.get_one(Version, (world.model_id, 1))
        assert version.recipe == RECIPE
        version.recipe = None

    with pytest.raises(NoRecipe, match="synflow trains again"):
        world.ask(CLASS, lane=None, method="l1_sparse", prune=OMP | {"method": "synflow"})


def log(store: Store, world: World) -> str:
    """Give version 1 a training log."""
    kept = store.blobs.put(b"what every update changed")
    with store.begin() as db:
        db.merge(Blob(digest=kept.digest, size=kept.size, media_type="log"))
        db.get_one(Version, (world.model_id, 1)).updates = kept.digest
    return kept.digest


def test_a_method_that_needs_the_log_of_the_training_gets_it_or_is_refused(
    store: Store, world: World
) -> None:
    with pytest.raises(InvalidParams, match="log_updates"):
        world.ask(CLASS, lane=None, method="amnesiac")
    digest = log(store, world)

    with pytest.raises(InvalidParams, match="cannot follow synflow"):
        world.ask(CLASS, lane=None, method="amnesiac", prune=OMP | {"method": "synflow"})
    claim, rung = world.begin(world.ask(CLASS, lane=None, method="amnesiac").job_id)

    assert rung.updates == digest
    assert world.publish(claim, rung).updates is None  # the log does not add up to this version


def test_the_log_goes_with_the_version_that_it_belongs_to(store: Store, world: World) -> None:
    digest = log(store, world)
    world.serve_request(world.ask(CLASS))
    with store.begin() as db:
        version = db.get_one(Version, (world.model_id, 1))
        versions.move(db, version, VersionState.REVOKED)
        doomed = erasure.erase_version(db, version)

    assert digest in doomed
    with store.read() as db:
        gone = {stone.digest: stone.what for stone in db.query(Tombstone)}
        assert gone[digest] == "updates"
        assert db.get(Blob, digest) is None
    assert world.version(1).updates is None
