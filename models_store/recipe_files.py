"""Recipe files: which parameters each method takes on a kind of model, and how that was found. TOML.

dataset = "cifar10_slice"
architecture = "all_cnn"
parameters = { width = 0.5 }
about = "Where the data comes from, and what was rehearsed."

[class.ssd]
params = { alpha = 2.0 }
found = { tries = 6, gap = 0.031 }
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models_store.life import Goal

BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Parameters of a method: what differs from its defaults."""

    params: dict[str, Any]
    found: dict[str, Any] = field(default_factory=dict)
    """How."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """What one file says. It fits the models of this architecture on a dataset of this name."""

    dataset: str
    architecture: str
    parameters: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    tuned: dict[Goal, dict[str, Tuned]]


def load(text: str) -> RecipeFile:
    """Read a recipe file.

    Raises:
        ValueError: it is no TOML. TypeError, KeyError: it says too much or too little.
    """
    said = tomllib.loads(text)
    tuned = {
        goal: {method: Tuned(**each) for method, each in said.pop(goal.value, {}).items()}
        for goal in Goal
    }
    return RecipeFile(tuned=tuned, **said)


def dump(file: RecipeFile) -> str:
    """What `load` reads again. Nulls are left out, as TOML has none."""
    head = {
        "dataset": file.dataset,
        "architecture": file.architecture,
        "parameters": file.parameters,
        "about": file.about,
    }
    lines = [f"{name} = {_written(value)}" for name, value in head.items()]
    for goal, methods in file.tuned.items():
        for method, each in sorted(methods.items()):
            lines += ["", f"[{goal}.{method}]", f"params = {_written(each.params)}"]
            lines += [f"found = {_written(each.found)}"] if each.found else []
    return "\n".join(lines) + "\n"


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{_key(k)} = {_written(v)}" for k, v in value.items() if v is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    # Strings, numbers and truths are written as in JSON, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _written(name)
