"""The recipe files that come with the house: each fits its methods, and no two fit one model."""

import pytest

from models_store.life import Goal
from workers import methods, recipes, shelf, warmup
from workers.kinds import Method

FILES = recipes.found()


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_holds_parameters_that_its_methods_take(name: str) -> None:
    file = FILES[name]
    known = {net.name for net in shelf.architectures()}

    assert file.architecture in known
    for tuned in file.tuned.values():
        for method, each in tuned.items():
            shelf.make(shelf.take(methods, Method, method), each.params)
            assert {"tries", "gap", "gap_of_defaults"} <= set(each.found)


def test_no_two_recipes_fit_the_same_model() -> None:
    fits = [(f.dataset, f.architecture, str(sorted(f.parameters.items()))) for f in FILES.values()]

    assert len(set(fits)) == len(fits)


def test_recipes_are_on_offer() -> None:
    offered = {each.name: each for each in warmup.abilities() if each.kind == "tuned"}

    assert set(offered) == set(FILES)
    for name, file in FILES.items():
        said = offered[name].traits
        assert (said["dataset"], said["architecture"]) == (file.dataset, file.architecture)
        assert set(Goal) <= set(said)


def test_where_nothing_was_tuned_there_is_nothing_to_say() -> None:
    assert recipes.params("nobody's", "all_cnn", {}, Goal.CLASS, "ssd") == {}
