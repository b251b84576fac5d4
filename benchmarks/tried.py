"""What the search of the slice's recipe tried, as a section of the page that compares the methods."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import record

FOUND = record.RESULTS / "tuned_slice.json"
RECIPE = record.ROOT / "workers" / "recipes" / "cifar10_slice_all_cnn.toml"

Row = dict[str, Any]

HEAD = """## How the parameters were found

Made by `python -m benchmarks.tuned` from `benchmarks/results/tuned_slice.json`: the search of `lethe tune`,
which rehearses images that the tables above do not forget, at half the epochs, and looks at training images
and a hold-out alone. A number is the mean distance of forgetting, retaining, generality and membership from
what a retrained net would have; an untouched net has {untouched}. In bold what the recipe takes: the method's
own defaults, unless another try is nearer by 0.01 and has not ruined the net. Methods that are not named
here run with their defaults.

| to forget | method | tries |
|---|---|---|
{lines}
"""
TITLES = {"class": "a class", "samples": "samples"}


def written(results: Path, recipe: Path) -> list[str]:
    """The section; nothing before the search was run."""
    if not results.exists():
        return []
    rows, taken = json.loads(results.read_text())["rows"], tomllib.loads(recipe.read_text())
    lines, untouched = [], {}
    for goal, title in TITLES.items():
        for name, best in sorted(taken.get(goal, {}).items()):
            mine = [row for row in rows if (row["goal"], row["method"]) == (goal, name)]
            tries = "; ".join(_try(row, best["params"]) for row in mine)
            lines.append(f"| {title} | `{name}` | {tries} |")
            untouched[goal] = f"{best['found']['gap_untouched']:.3f} ({title})"
    return [HEAD.format(untouched=" and ".join(untouched.values()), lines="\n".join(lines))]


def _try(row: Row, best: Mapping[str, Any]) -> str:
    params = ", ".join(f"{name} {value}" for name, value in row["params"].items())
    said = f"{params or 'defaults'}: {row['gap']:.3f}"
    return f"**{said}**" if row["params"] == best else said
