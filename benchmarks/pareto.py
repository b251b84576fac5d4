"""Forgetting, utility and time of methods, as a picture: nearer to the corner is better."""

from collections.abc import Sequence
from typing import Any

from workers.drawing import Axis, Frame, Panel, Words

Row = dict[str, Any]
WIDE, HIGH = 430.0, 330.0
ROOM = 12.0
"""Between two names in the list."""


def forgetting(row: Row) -> float:
    """Mean distance of UA and MIA from the retrained models, in points."""
    return float((abs(row["gap_ua"]) + abs(row["gap_mia"])) / 2)


def utility(row: Row) -> float:
    """Test accuracy that was lost against the retrained models, in points; a gain is negative."""
    return float(-row["gap_ta"])


def best(rows: Sequence[Row]) -> list[Row]:
    """Rows that no other beats in forgetting, utility and time at once."""
    marks = [(forgetting(row), utility(row), row["rte_seconds"]) for row in rows]
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
    front = [row["name"] for row in best(rows)]
    far = max([forgetting(row) for row in rows] + [1.0])
    x = Axis(0.0, _round(far), "distance from retrained in UA and MIA, points")
    low = min([utility(row) for row in rows] + [0.0])
    high = max([utility(row) for row in rows] + [1.0])
    lost = Axis(low - 1, high + 1)
    time = Axis(1.0, 1000.0, log=True)
    return [
        _cloud("test accuracy lost against retrained, points", rows, front, x, lost, utility),
        _cloud("seconds", rows, front, x, time, lambda row: max(1.0, row["rte_seconds"])),
        _names(rows),
    ]


def _cloud(title: str, rows: Sequence[Row], front: list[str], x: Axis, y: Axis, of: Any) -> Panel:
    frame = Frame(Panel(title, WIDE, HIGH), x, y)
    frame.axes()
    if y.low < 0 < y.high and not y.log:
        frame.line("guide", [(x.low, 0.0), (x.high, 0.0)])
    for number, row in enumerate(rows, start=1):
        place = (forgetting(row), of(row))
        role = "dot_estimate" if row["name"] in front else "dot_before"
        frame.dots(role, [place], "diamond" if row["name"] in front else "round", 4)
        shift = 8 if number % 2 else -8
        frame.say(str(number), *place, "start" if shift > 0 else "end", across=shift, up=-4)
    return frame.panel


def _names(rows: Sequence[Row]) -> Panel:
    panel = Panel("from left to right", WIDE, HIGH)
    for number, row in enumerate(rows, start=1):
        column, line = divmod(number - 1, 24)
        at = (6 + 215 * column, 12 + ROOM * line)
        panel.words.append(Words(f"{number}  {row['name']}", *at, "start"))
    return panel


def _round(value: float) -> float:
    return float(10 * (1 + int(value // 10)))


LEGEND = {
    "dot_estimate": "no other method beats it in all three",
    "dot_before": "another is at least as good in all three",
}
