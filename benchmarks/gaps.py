"""How far a row lies from models that were retrained without the forget set."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

Row = dict[str, Any]
REFERENCE = "retrained"
"""The name of such models' rows."""
KEYS = ("ua", "ra", "ta", "mia")
GAPS = (*(f"gap_{key}" for key in KEYS), "avg_gap")


Refers = Callable[[Row, Row], bool]
"""Is a row (the first) one that another is held against?"""


def dense(reference: Row, row: Row) -> bool:
    """Dense nets retrained without the same target, for sparse nets too."""
    same = all(reference[key] == row[key] for key in ("target", "data"))
    return same and reference["name"] == REFERENCE


def with_gaps(rows: list[Row], refers: Refers = dense) -> list[Row]:
    """Every row with its gaps to the mean of the retrained models that it refers to, in points.

    `gap_*` are signed; `avg_gap` is the mean of the four distances, as Unlearn-Sparse averages
    them. A retrained model is held against the others: its gap is what chance makes. Where there is
    nothing to compare with, gaps are null.
    """
    found = []
    for row in rows:
        references = [each for each in rows if each is not row and refers(each, row)]
        found.append(row | _gaps(row, [each for each in references if each["ua"] is not None]))
    return found


def _gaps(row: Row, references: list[Row]) -> dict[str, float | None]:
    if not references or row["ua"] is None:
        return dict.fromkeys(GAPS)
    found = {key: row[key] - fmean(each[key] for each in references) for key in KEYS}
    signed = {f"gap_{key}": round(gap, 3) for key, gap in found.items()}
    return signed | {"avg_gap": round(fmean(map(abs, found.values())), 3)}
