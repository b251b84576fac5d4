"""Pictures for illustration: the decision space, and mean heat maps."""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.drawing import Axis, Frame, Panel, Path, Point, Words
from workers.pictures import VERSIONS, Figure, Test

SHORT = {"forget": "forgotten", "forget_test": "never trained", "retain": "retained"}
SIDE = 96.0
"""Of a heat map."""
NAMED = 20
"""Classes, at most, whose names still have room on a map."""


def embedding(test: Test | None, names: Sequence[str]) -> list[Figure]:
    """Where images lie in the decision space."""
    if test is None or not test["details"]:
        return []
    table = test["details"]
    return [
        Figure(
            title="The decision space",
            reading="Two directions out of many, fitted once for all panels, so a place means the "
            "same decision in each. Forgotten images should lie among the never-trained images of "
            "their class. Distances between groups mean nothing.",
            panels=[_cloud(version, table, names) for version in table["points"]],
            legend={
                "dot_forget": "forgotten",
                "dot_forget_test": "never trained, same classes",
                "dot_rest": "never trained, other classes",
            },
            illustrative=True,
        )
    ]


def _cloud(version: str, table: Mapping[str, Any], names: Sequence[str]) -> Panel:
    (left, low), (right, high) = table["low"], table["high"]
    panel = Panel(VERSIONS[version], height=260.0)
    frame = Frame(panel, Axis(left, right or 1.0), Axis(low, high), left=10, bottom=10)
    points, labels = table["points"][version], table["labels"]["retain_test"]
    frame.dots("dot_rest", points["retain_test"], size=1.7)
    frame.dots("dot_forget", points["forget"], size=2.3)
    frame.dots("dot_forget_test", points["forget_test"], "up", size=2.6)
    for label in sorted(set(labels)) if len(set(labels)) <= NAMED else []:
        own = [p for p, its in zip(points["retain_test"], labels, strict=True) if its == label]
        across, up = (sorted(values)[len(own) // 2] for values in zip(*own, strict=True))
        frame.say(names[label] if label < len(names) else str(label), across, up)
    return panel


def heat(test: Test | None) -> list[Figure]:
    """Mean heat maps: a row for each part, a column for each version."""
    if test is None or not test["details"]:
        return []
    table = test["details"]
    parts = [part for part in SHORT if part in table["before"]]
    return [
        Figure(
            title="Where it looks (Grad-CAM)",
            reading="Mean heat maps of the true class: the stronger the colour, the more that "
            "place speaks for it. No image is shown or kept, only the mean of many maps.",
            panels=[_maps(version, each, parts) for version, each in table.items()],
            illustrative=True,
        )
    ]


def _maps(version: str, maps: Mapping[str, Sequence[Sequence[float]]], parts: list[str]) -> Panel:
    panel = Panel(VERSIONS[version], width=len(parts) * (SIDE + 12), height=SIDE + 26)
    peak = max((value for part in parts for line in maps[part] for value in line), default=0.0)
    for place, part in enumerate(parts):
        left = place * (SIDE + 12)
        panel.paths += _tiles(left, maps[part], peak or 1.0)
        panel.words.append(Words(SHORT[part], left + SIDE / 2, SIDE + 20))
    return panel


def _tiles(left: float, table: Sequence[Sequence[float]], peak: float) -> list[Path]:
    """A square for each value, in eight strengths of one colour."""
    down, across = SIDE / len(table), SIDE / len(table[0])
    strengths: dict[int, list[list[Point]]] = {step: [] for step in range(9)}
    for row, line in enumerate(table):
        for column, value in enumerate(line):
            x, y = left + column * across, 4 + row * down
            corners = [(x, y), (x + across, y), (x + across, y + down), (x, y + down)]
            strengths[round(8 * value / peak)].append(corners)
    frame = [(left, 4.0), (left + SIDE, 4.0), (left + SIDE, 4 + SIDE), (left, 4 + SIDE)]
    return [
        *(
            Path("heat", each, closed=True, opacity=step / 8)
            for step, each in strengths.items()
            if each
        ),
        Path("axis", [frame], closed=True),
    ]
