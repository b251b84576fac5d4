"""Tuned parameters that come with the house: a file for each dataset and architecture."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from models_store import recipe_files
from models_store.life import Goal
from models_store.recipe_files import RecipeFile


@cache
def found() -> Mapping[str, RecipeFile]:
    """All recipe files, by the names of the files."""
    here = [each for each in files(__name__).iterdir() if each.name.endswith(".toml")]
    return {
        each.name.removesuffix(".toml"): recipe_files.load(each.read_text(encoding="utf-8"))
        for each in sorted(here, key=lambda each: each.name)
    }


def params(
    dataset: str, architecture: str, parameters: Mapping[str, Any], goal: Goal, method: str
) -> dict[str, Any]:
    """What a method takes on such a model beside its defaults; {} where nothing was tuned."""
    for file in found().values():
        if (file.dataset, file.architecture, file.parameters) == (
            dataset,
            architecture,
            dict(parameters),
        ):
            tuned = file.tuned[goal].get(method)
            return dict(tuned.params) if tuned else {}
    return {}
