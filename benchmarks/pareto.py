"""Forgetting, utility and time of methods, as a picture: nearer to the corner is better."""

from collections.abc import Callable, Sequence
from math import ceil, log10
from typing import Any

from workers.drawing import Axis, Frame, Panel, Point, Words

Row = dict[str, Any]
WIDE, HIGH = 430.0, 330.0
ROOM = 13.5
"""Between two names in the list."""
NEAREST = 0.1
"""Points: whatever is nearer is drawn here."""
BACK = 10.0
"""Points."""
OFFSETS = [(across, down) for across in (7, -20, 23, -36, 39, -52) for down in (0, -11, 11, 22)]
"""Of a number from its dot."""


def forgetting(row: Row) -> float:
    """Mean distance of UA and MIA from the retrained models, in points."""
    return float((abs(row["gap_ua"]) + abs(row["gap_mia"])) / 2)


def utility(row: Row) -> float:
    """Test accuracy that was lost against the retrained models, in points; a gain is negative."""
    return float(-row["gap_ta"])


def seconds(row: Row) -> float:
    """Of the method, and of making the net sparse where that came first."""
    return float(row["rte_seconds"] + (row.get("prune_seconds") or 0.0))


def drifted(row: Row) -> bool:
    """Does the forget set come back once BatchNorm statistics are estimated anew?"""
    fresh = row["bn_recalibrated_d_f"]
    return fresh is not None and bool(fresh > row["d_f"] + BACK)


def best(rows: Sequence[Row]) -> list[Row]:
    """Rows that no other beats in forgetting, utility and time at once."""
    marks = [(forgetting(row), utility(row), seconds(row)) for row in rows]
    return [
        row
        for row, mine in zip(rows, marks, strict=True)
        if not any(
            other != mine and all(o <= m for o, m in zip(other, mine, strict=True))
            for other in marks
        )
    ]


def panels(rows: Sequence[Row]) -> list[Panel]:
    """Utility and time, each against forgetting, and the list of who is who."""
    rows = sorted(rows, key=forgetting)
    front = [row["name"] for row in best([row for row in rows if not drifted(row)])]
    losses = [utility(row) for row in rows]
    lost = Axis(min(0.0, *losses) - 1, max(1.0, *losses) + 1)
    slowest = max(map(seconds, rows))
    time = Axis(1.0, 10.0 ** max(3, ceil(log10(slowest))), log=True)
    return [
        _cloud("test accuracy lost against retrained, points", rows, front, lost, utility),
        _cloud("seconds, pruning included", rows, front, time, seconds),
        _names(rows),
    ]


def _cloud(
    title: str, rows: Sequence[Row], front: list[str], y: Axis, of: Callable[[Row], float]
) -> Panel:
    x = Axis(
        NEAREST, 100.0, "distance from retrained in UA and MIA, points (left: least)", log=True
    )
    frame = Frame(Panel(title, WIDE, HIGH), x, y)
    frame.axes()
    if not y.log:
        frame.line("guide", [(x.low, 0.0), (x.high, 0.0)])
    taken = list[Point]()
    for number, row in enumerate(rows, start=1):
        role = "dot_estimate" if row["name"] in front else "dot_before"
        place = (forgetting(row), of(row))
        frame.dots("dot_forget" if drifted(row) else role, [place], "round", 4)
        at = _free(frame.at(*place), taken)
        taken.append(at)
        frame.panel.words.append(Words(str(number), *at, "start"))
    return frame.panel


def _free(dot: Point, taken: Sequence[Point]) -> Point:
    """Where a number still has room, as near to its dot as can be."""
    places = [(dot[0] + across, dot[1] + 4 + down) for across, down in OFFSETS]
    free = (at for at in places if not any(_touch(at, other) for other in taken))
    return next(free, places[-1])


def _touch(one: Point, other: Point) -> bool:
    return abs(one[0] - other[0]) < 15 and abs(one[1] - other[1]) < 11


def _names(rows: Sequence[Row]) -> Panel:
    panel = Panel("from left to right", WIDE, HIGH)
    for number, row in enumerate(rows, start=1):
        column, line = divmod(number - 1, 23)
        at = (6.0 + 215 * column, 12 + ROOM * line)
        panel.words.append(Words(f"{number}  {row['name']}", *at, "start"))
    return panel


LEGEND = {
    "dot_estimate": "no other beats it in all three",
    "dot_before": "another is at least as good in all three",
    "dot_forget": "forgotten by drifted BatchNorm statistics, which anybody can estimate anew",
}
