"""The bars of the comparison: how near the retrained models a class is forgotten."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from benchmarks.gaps import dense

Row = dict[str, Any]
Check = tuple[str, Callable[[Row, Row], float], Callable[[float], bool]]


def _share(key: str) -> Callable[[Row, Row], float]:
    return lambda row, _: float(row[key])


def _apart(key: str) -> Callable[[Row, Row], float]:
    return lambda row, reference: float(row[key] - reference[key])


CLOSE: list[Check] = [
    ("D_f below 1", _share("d_f"), lambda x: x < 1),
    ("D_ft below 1", _share("d_ft"), lambda x: x < 1),
    ("D_r within 2.5 points of retrained", _apart("d_r"), lambda x: abs(x) <= 2.5),
    ("D_rt within 2.5 points of retrained", _apart("d_rt"), lambda x: abs(x) <= 2.5),
]
BARS: dict[str, list[Check]] = {
    "boundary_expanding": CLOSE,
    "boundary_shrink": CLOSE,
    "l1_sparse": [
        ("UA at least 99", _share("ua"), lambda x: x >= 99),
        ("TA within 1 point of retrained", _apart("ta"), lambda x: abs(x) <= 1),
    ],
}
"""For a class, on the slice and on all images."""


def bars(rows: Sequence[Row]) -> list[str]:
    """Which are held."""
    lines = []
    for row in rows:
        reference = retrained(rows, row)
        if row["target"] != "class:4" or row["name"] not in BARS or not reference:
            continue
        for text, value, good in BARS[row["name"]]:
            found = value(row, reference)
            holds = "yes" if good(found) else "no"
            lines.append(f"| `{row['name']}`, {row['data']}: {text} | {found:.2f} | {holds} |")
    head = "## The bars\n\n| bar | measured | holds |\n|---|---|---|\n"
    return [head + "\n".join(lines)] if lines else []


def retrained(rows: Sequence[Row], row: Row) -> Row:
    """The mean of the retrained models of a row's target; empty without any."""
    known = [each for each in rows if dense(each, row)]
    return {key: fmean(each[key] for each in known) for key in ("d_r", "d_rt", "ta") if known}
