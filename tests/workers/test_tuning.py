"""The search for parameters: what is rehearsed, what counts as good, what is tried."""

from dataclasses import fields, replace
from functools import cache

import pytest
import torch
from given import GONE, net, world
from torch import nn
from toy import GONE as LOST
from toy import drifted
from toy import world as toys

from workers import methods, rehearsal, shelf, tuning
from workers.kinds import Given, Method, Samples
from workers.rehearsal import Rehearsal

SHELF = shelf.on(methods, Method)


def training(given: Given) -> Samples:
    both = torch.cat([given.forget.index, given.retain.index]).sort().values
    return replace(given.retain, index=both)


@pytest.mark.parametrize("name", SHELF)
def test_every_candidate_is_taken_by_the_method_s_own_schema(name: str) -> None:
    kind = SHELF[name]

    tried = tuning.candidates(kind)

    assert tried[0] == {}
    assert 1 < len(tried) <= tuning.BUDGET or not kind.space
    assert len({str(shelf.make(kind, params)) for params in tried}) == len(tried)


def test_retraining_has_nothing_to_tune() -> None:
    assert tuning.candidates(SHELF["retrain"]) == [{}]


def test_of_a_larger_space_the_seed_draws_what_is_tried() -> None:
    kind = SHELF["finetune"]

    assert tuning.candidates(kind, seed=1) == tuning.candidates(kind, seed=1)
    assert tuning.candidates(kind, seed=1) != tuning.candidates(kind, seed=2)


def test_half_the_epochs_are_at_least_one() -> None:
    half = tuning.halved(SHELF["boundary_shrink"](epochs=1, steps=5))  # type: ignore[call-arg]

    assert (half.epochs, half.steps) == (1, 3)  # type: ignore[attr-defined]


def test_a_method_says_beforehand_what_its_tries_are() -> None:
    l1_sparse = shelf.take(methods, Method, "l1_sparse")

    told = tuning.announced(l1_sparse)

    assert told == {"tries": 6, "params": {"epochs": 3, "steps": 200}, "shown": 0.9}
    assert tuning.halved(l1_sparse()) == replace(l1_sparse(), **told["params"])


def test_steps_that_are_no_updates_are_not_halved() -> None:
    assert tuning.halved(SHELF["influence"]()) == SHELF["influence"]()


# ---- what is rehearsed ---------------------------------------------------------------------------


def test_the_sets_of_a_rehearsal_share_no_image() -> None:
    given = world()

    found = rehearsal.rehearsal(training(given), given.holdout, label=0)

    parts = [part.index for part in (found.forget, found.retain, found.kept)]
    assert torch.cat(parts).sort().values.equal(training(given).index)
    assert found.forget.targets.unique().tolist() == [0]
    assert 0 not in found.retain.targets
    assert len(found.kept)


def test_samples_are_drawn_by_the_seed() -> None:
    given = world()
    unseen = given.forget

    drawn = [
        rehearsal.rehearsal(given.retain, unseen, size=5, seed=seed).forget.index.tolist()
        for seed in (1, 1, 2)
    ]

    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1] != drawn[2]


def test_samples_need_unseen_images_to_be_like() -> None:
    with pytest.raises(ValueError, match="hold-out"):
        rehearsal.rehearsal(world().retain, world().holdout, size=5)


def test_a_class_that_nobody_has_cannot_be_rehearsed() -> None:
    with pytest.raises(ValueError, match="to forget"):
        rehearsal.rehearsal(world().retain, world().holdout, label=GONE)


# ---- what is good --------------------------------------------------------------------------------


@cache
def toy() -> Rehearsal:
    known = toys()
    return rehearsal.rehearsal(known.samples(known.train), known.samples(known.test), label=LOST)


def off(model: nn.Module) -> float:
    wanted = rehearsal.target(toys().original, toy(), precision="fp32")
    return rehearsal.gap(rehearsal.figures(model, toy(), "fp32"), wanted)


def test_a_retrained_net_is_nearer_than_one_that_remembers() -> None:
    assert off(toys().retrained) < off(toys().original) / 3


def test_forgetting_that_fresh_statistics_undo_does_not_count() -> None:
    found = rehearsal.figures(drifted(toys()), toy(), "fp32")

    assert found["forget"] < 0.1
    assert found["forget_fresh"] > 0.8
    assert off(drifted(toys())) > off(toys().original) / 2


def test_references_set_the_target_where_there_are_any() -> None:
    wanted = rehearsal.target(toys().original, toy(), [toys().retrained], precision="fp32")

    assert wanted == rehearsal.figures(toys().retrained, toy(), "fp32")
    assert rehearsal.gap(wanted, wanted) == 0


def test_without_unseen_images_a_class_is_judged_by_what_is_left() -> None:
    known = toys()
    alone = rehearsal.rehearsal(known.samples(known.train), known.samples(known.test[:0]), label=1)

    found = rehearsal.figures(known.original, alone, "fp32")

    assert set(found) == {"forget", "forget_fresh", "retain"}


# ---- the search ----------------------------------------------------------------------------------


def test_a_search_tries_the_budget_and_leaves_the_net_as_it_was() -> None:
    given, model = world(), net()
    before = [value.clone() for value in model.state_dict().values()]
    rehearsed = rehearsal.rehearsal(training(given), given.holdout, label=0)

    trials = list(tuning.search(SHELF["ssd"], model, rehearsed, given))

    assert [trial.params for trial in trials] == tuning.candidates(SHELF["ssd"])
    assert all(0 <= trial.gap <= 1 and trial.seconds > 0 for trial in trials)
    after = model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def tries(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"forget": forget, "retain": retain} for forget, retain in pairs]


@pytest.mark.parametrize(
    ("tried", "number"),
    [
        (tries((0.2, 1.0), (0.4, 1.0)), 0),
        (tries((0.2, 1.0), (0.19, 1.0)), 0),
        (tries((0.2, 1.0), (0.1, 1.0), (0.04, 1.0), (0.06, 1.0)), 2),
    ],
)
def test_the_defaults_stay_unless_another_try_is_clearly_nearer(
    tried: list[dict[str, float]], number: int
) -> None:
    assert tuning.best(tried, {"forget": 0.0, "retain": 1.0}) == number


def test_a_net_that_was_ruined_is_never_the_best() -> None:
    wanted = {"forget": 0.0, "retain": 1.0}

    assert tuning.best(tries((1.0, 1.0), (0.0, 0.1), (0.8, 0.95)), wanted) == 2
    assert tuning.best(tries((0.9, 0.1), (0.0, 0.1)), wanted) == 0


def test_whether_a_net_was_ruined_unseen_images_say_where_there_are_some() -> None:
    wanted = {"forget": 0.0, "retain": 1.0, "unseen": 0.7}
    defaults, anew, ruined = (
        {"forget": forget, "retain": retain, "unseen": unseen}
        for forget, retain, unseen in ((0.9, 1.0, 0.7), (0.0, 0.85, 0.7), (0.0, 1.0, 0.5))
    )

    assert tuning.best([defaults, anew], wanted) == 1
    assert tuning.best([defaults, ruined], wanted) == 0


def test_every_space_names_fields_of_its_method() -> None:
    for kind in SHELF.values():
        assert set(kind.space) <= {each.name for each in fields(kind)}  # type: ignore[arg-type]
