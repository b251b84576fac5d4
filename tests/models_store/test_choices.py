"""Which parameters a method gets when nobody names any, and what a policy's rung says of it."""

from typing import Any

import pytest
from tuned import CLASS, OMP, adopt, furnish, order, tuned
from world import World

from models_store import choices, jobs, offers, recipe_files, registry, rungs, tunings
from models_store.errors import InvalidParams, InvalidTransition, NoRecipe, NotFound
from models_store.life import Goal, Lane
from models_store.offers import Ability
from models_store.policy import Policy, Rungs
from models_store.rungs import Rung
from models_store.store import Store
from models_store.tables import Version
from models_store.targets import Target


@pytest.fixture
def world(store: Store) -> World:
    return furnish(store)


# ---- whose parameters ----------------------------------------------------------------------------


def offer_recipe(world: World, **traits: Any) -> None:
    fits = {"dataset": "animals", "architecture": "small_cnn", "parameters": {}}
    params = {"class": {"l1_sparse": {"epochs": 7}}, "samples": {}}
    with world.store.begin() as db:
        offers.advertise(db, [Ability("tuned", "animals", "Found.", {}, fits | params | traits)])


def of_method(world: World, goal: str = "class") -> tuple[dict[str, Any], str]:
    with world.store.read() as db:
        return choices.tuned(db, registry.get(db, "zoo"), goal, "l1_sparse")


def test_nobody_s_parameters_are_those_of_the_tuning_then_of_the_recipe_then_none(
    world: World,
) -> None:
    assert of_method(world) == ({}, "method")
    offer_recipe(world)
    assert of_method(world) == ({"epochs": 7}, "recipe animals")
    assert of_method(world, "samples") == ({}, "method")
    job = tuned(world, 0.3, 0.1)
    adopt(world, job)
    assert of_method(world) == ({"epochs": 1}, f"tuning {job}")

    with world.store.begin() as db:
        tunings.drop(db, registry.get(db, "zoo"), Goal.CLASS, "l1_sparse", "me")
    assert of_method(world) == ({"epochs": 7}, "recipe animals")
    with world.store.begin() as db, pytest.raises(NotFound):
        tunings.drop(db, registry.get(db, "zoo"), Goal.CLASS, "l1_sparse", "me")


@pytest.mark.parametrize(
    "other", [{"dataset": "plants"}, {"architecture": "all_cnn"}, {"parameters": {"width": 0.5}}]
)
def test_a_recipe_fits_one_architecture_with_its_parameters_on_one_dataset(
    world: World, other: dict[str, Any]
) -> None:
    offer_recipe(world, **other)

    assert of_method(world) == ({}, "method")


def test_only_a_tuning_that_has_succeeded_is_adopted_and_a_later_one_takes_its_place(
    world: World,
) -> None:
    with pytest.raises(InvalidTransition, match="has not ended"):
        adopt(world, order(world))

    for gaps in ((0.3, 0.1), (0.3, 0.4, 0.1)):
        adopt(world, tuned(world, *gaps))

    assert of_method(world)[0] == {"epochs": 2}


def rung(world: World, **asked: Any) -> Rung:
    return world.begin(world.ask(CLASS, **({"lane": None, "method": "l1_sparse"} | asked)).job_id)[
        1
    ]


def test_a_request_that_names_parameters_gets_these_alone(world: World) -> None:
    adopt(world, tuned(world, 0.3, 0.1))

    found = rung(world, params={"epochs": 3})

    assert (found.params, found.params_from) == ({"epochs": 3}, "request")


def test_a_request_that_names_none_gets_what_was_tuned_in_every_attempt(world: World) -> None:
    job = tuned(world, 0.3, 0.1)
    adopt(world, job)
    request = world.ask(CLASS, lane=None, method="l1_sparse")
    claim, first = world.begin(request.job_id)
    with world.store.begin() as db:
        tunings.drop(db, registry.get(db, "zoo"), Goal.CLASS, "l1_sparse", "me")
        jobs.give_back(db, claim, "makes way")

    _, second = world.begin(request.job_id)

    assert (first.params, first.params_from) == ({"epochs": 1}, f"tuning {job}")
    assert (second.params, second.params_from) == (first.params, first.params_from)


# ---- policies ------------------------------------------------------------------------------------


def set_policy(world: World, **quality: Any) -> None:
    step = {"method": "l1_sparse"} | quality
    policy = Policy(for_class=Rungs.model_validate({"quality": step}))
    with world.store.begin() as db:
        registry.set_policy(db, registry.get(db, "zoo"), policy, "me")


def test_a_rung_runs_with_the_parameters_and_the_pruner_of_the_policy(world: World) -> None:
    set_policy(world, params={"epochs": 4}, prune=OMP)

    found = rung(world, method=None, lane=Lane.QUALITY)

    assert (found.method, found.params, found.params_from) == (
        "l1_sparse", {"epochs": 4}, "policy",
    )  # fmt: skip
    assert found.prune == OMP


def test_a_base_that_the_policy_s_pruner_made_sparse_is_not_pruned_again(world: World) -> None:
    set_policy(world, prune=OMP)
    request = world.ask(CLASS, lane=Lane.QUALITY)
    sparse = world.version(world.serve_request(request).number)
    later = world.ask(Target("class", label="cat"), lane=Lane.QUALITY)

    claim, found = world.begin(later.job_id)

    assert sparse.prune == OMP
    assert (found.prune, found.sparse) == (None, OMP)
    assert world.publish(claim, found).prune == OMP


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"method": "l2_sparse"}, "nearest are l1_sparse"),
        ({"params": {"epochs": 0}}, "epochs"),
        ({"prune": OMP | {"method": "opm"}}, "nearest are omp"),
    ],
)
def test_a_policy_is_checked_by_what_is_on_offer(
    world: World, step: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidParams, match=why):
        set_policy(world, **step)


def test_a_lane_whose_pruner_trains_needs_the_recipe(world: World) -> None:
    set_policy(world, prune=OMP | {"method": "imp"})
    with world.store.begin() as db:
        db.get_one(Version, (world.model_id, 1)).recipe = None

    with pytest.raises(NoRecipe, match="imp trains again"):
        world.ask(CLASS, lane=Lane.QUALITY)


# ---- recipe files --------------------------------------------------------------------------------


def test_what_was_adopted_is_written_as_a_recipe_file_that_says_the_same(world: World) -> None:
    adopt(world, tuned(world, 0.3, 0.1))
    with world.store.read() as db:
        file = tunings.recipe_of(db, registry.get(db, "zoo"))

    again = recipe_files.load(recipe_files.dump(file))

    assert again == file
    assert (again.dataset, again.architecture) == ("animals", "small_cnn")
    assert again.tuned[Goal.CLASS]["l1_sparse"].params == {"epochs": 1}
    assert again.tuned[Goal.CLASS]["l1_sparse"].found["gap_of_defaults"] == 0.3


def test_rungs_is_what_decides_for_a_plan_too(world: World) -> None:
    set_policy(world, params={"epochs": 4})
    with world.store.read() as db:
        model = registry.get(db, "zoo")
        base = db.get_one(Version, (world.model_id, 1))
        choice = rungs.chosen(db, model, {"lane": "fast"}, [], base)

    assert (choice.method, choice.source) == ("boundary_expanding", "method")
