"""Recipe files: what is written can be read again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store import recipe_files
from models_store.life import Goal
from models_store.recipe_files import RecipeFile, Tuned

NAMES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    NAMES,
    st.lists(st.integers(0, 9), max_size=3),
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=3)


@given(dataset=NAMES, about=NAMES, parameters=TABLES, params=TABLES, found=TABLES)
def test_what_is_written_reads_the_same(
    dataset: str,
    about: str,
    parameters: dict[str, Any],
    params: dict[str, Any],
    found: dict[str, Any],
) -> None:
    tuned = Tuned(params=params, found=found)
    file = RecipeFile(
        dataset=dataset,
        architecture="all_cnn",
        parameters=parameters,
        about=about,
        tuned={Goal.CLASS: {"ssd": tuned}, Goal.SAMPLES: {}},
    )

    assert recipe_files.load(recipe_files.dump(file)) == file


def test_null_is_left_out() -> None:
    tuned = Tuned(params={"alpha": None, "dampening": 0.5})
    file = RecipeFile(dataset="d", architecture="a", tuned={Goal.CLASS: {"ssd": tuned}})

    again = recipe_files.load(recipe_files.dump(file))

    assert again.tuned[Goal.CLASS]["ssd"].params == {"dampening": 0.5}


def test_a_word_that_means_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        recipe_files.load('dataset = "d"\narchitecture = "a"\ncolour = "red"')
