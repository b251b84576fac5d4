"""Tunings as the store sees them, and which parameters a method gets when nobody names any."""

from typing import Any
from uuid import UUID

import pytest
import world as made
from world import World

from models_store import (
    choices,
    jobs,
    offers,
    outcomes,
    recipe_files,
    registry,
    retention,
    rungs,
    tunings,
)
from models_store.claims import Claim, Signal
from models_store.errors import (
    InvalidParams,
    InvalidTransition,
    LostClaim,
    NoRecipe,
    NotFound,
    UnknownSamples,
)
from models_store.life import Goal, JobStatus, Lane, Phase
from models_store.offers import Ability
from models_store.policy import Policy, Rungs
from models_store.rungs import Rung
from models_store.store import Store
from models_store.tables import Dataset, Job, Model, Trial, Version
from models_store.targets import Target
from models_store.tunings import Order

CLASS = Target("class", label="deer")
OMP = {"method": "omp", "sparsity": 0.9, "params": {}}


@pytest.fixture
def world(store: Store) -> World:
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


# ---- the job -------------------------------------------------------------------------------------


def test_every_try_is_kept_and_one_of_them_is_the_result(world: World) -> None:
    job = tuned(world, 0.3, 0.1, 0.2)

    result = row(world, job).result
    assert result is not None
    assert (result["params"], result["gap"], result["gap_of_defaults"]) == ({"epochs": 1}, 0.1, 0.3)
    with world.store.read() as db:
        assert [trial.gap for trial in tunings.trials(db, job)] == [0.3, 0.1, 0.2]


def test_a_later_attempt_finds_what_was_tried_and_an_earlier_one_adds_nothing(world: World) -> None:
    job = order(world)
    first = begun(world, job)
    tried(world, first, 0.3)
    with world.store.begin() as db:
        jobs.give_back(db, first, "makes way")
    second = begun(world, job)

    with world.store.read() as db:
        assert [trial.number for trial in tunings.begin(db, second).trials] == [0]
    with pytest.raises(LostClaim):
        tried(world, first, 0.3)


def test_what_was_forgotten_is_not_rehearsed_with(world: World) -> None:
    world.serve_request(world.ask(CLASS))
    claim = begun(world, order(world, label="cat"))

    with world.store.read() as db:
        found = tunings.begin(db, claim)

    assert set(found.seen) - set(found.training) == set(found.forgotten) == set(range(20, 28))


def test_it_makes_way_for_a_fast_request_and_holds_up_none(world: World) -> None:
    claim = begun(world, order(world))
    request = world.ask(CLASS)

    with world.store.begin() as db:
        signal = jobs.beat(db, claim, world.store.settings, Phase.UNLEARNING)

    assert signal is Signal.GIVE_WAY
    world.serve_request(request)


@pytest.mark.parametrize(
    ("wanted", "refusal", "why"),
    [
        ({"method": "retrain"}, InvalidParams, "nothing to tune"),
        ({"method": "amnesiac"}, InvalidParams, "log_updates"),
        ({"method": "l2_sparse"}, InvalidParams, "nearest are l1_sparse"),
        ({"label": "unicorn"}, UnknownSamples, "unicorn"),
        ({"label": None, "size": 4}, InvalidParams, "hold-out"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    world: World, wanted: dict[str, Any], refusal: type[Exception], why: str
) -> None:
    with pytest.raises(refusal, match=why):
        order(world, **wanted)


def test_samples_are_tuned_where_there_is_a_hold_out(world: World) -> None:
    with world.store.begin() as db:
        dataset = db.get_one(Dataset, world.dataset_id)
        dataset.counts = {"train": 30, "holdout": 2, "test": 8}

    job = row(world, order(world, label=None, size=4))

    assert (job.task["size"], tunings.goal_of(job)) == (4, Goal.SAMPLES)


def test_a_waiting_tuning_is_cancelled_at_once_and_a_running_one_is_told(world: World) -> None:
    waiting, running = order(world), order(world, label="cat")
    claim = begun(world, running)
    for job in (waiting, running):
        with world.store.begin() as db:
            tunings.cancel(db, db.get_one(Job, job), "me")

    assert row(world, waiting).status is JobStatus.CANCELLED
    with world.store.begin() as db:
        assert jobs.beat(db, claim, world.store.settings) is Signal.CANCEL
        outcomes.was_cancelled(db, claim)
    assert row(world, running).status is JobStatus.CANCELLED
    with world.store.begin() as db, pytest.raises(InvalidTransition):
        tunings.cancel(db, db.get_one(Job, running), "me")


def test_the_version_that_is_tuned_stays_until_the_job_has_ended(world: World) -> None:
    with world.store.begin() as db:
        db.get_one(Model, world.model_id).policy = {"grace_seconds": 0}
    job = order(world)
    world.serve_request(world.ask(CLASS))
    with world.store.begin() as db:
        retention.tend(db, world.model_id)

    assert world.version(1).state == "superseded"
    with world.store.begin() as db:
        tunings.cancel(db, db.get_one(Job, job), "me")
        retention.tend(db, world.model_id)
    assert world.version(1).state == "revoked"


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
