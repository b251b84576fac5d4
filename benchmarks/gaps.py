"""How far a row lies from models that were retrained without the forget set."""

from statistics import fmean
from typing import Any

Row = dict[str, Any]
REFERENCE = "retrained"
"""The name of such models' rows."""
KEYS = ("ua", "ra", "ta", "mia")
GAPS = (*(f"gap_{key}" for key in KEYS), "avg_gap")


def with_gaps(rows: list[Row]) -> list[Row]:
    """Every row with its gaps to the mean of the retrained models of its target, in points.

    `gap_*` are signed; `avg_gap` is the mean of the four distances, as Unlearn-Sparse averages
    them. A retrained model is held against the others: its gap is what chance makes. Where there is
    nothing to compare with, gaps are null. The reference is dense, for sparse nets too.
    """
    return [row | _gaps(row, [each for each in rows if _refers(each, row)]) for row in rows]


def _refers(reference: Row, row: Row) -> bool:
    same = all(reference[key] == row[key] for key in ("target", "data"))
    return same and reference["name"] == REFERENCE and reference is not row


def _gaps(row: Row, references: list[Row]) -> dict[str, float | None]:
    if not references or row["ua"] is None:
        return dict.fromkeys(GAPS)
    found = {key: row[key] - fmean(each[key] for each in references) for key in KEYS}
    signed = {f"gap_{key}": round(gap, 3) for key, gap in found.items()}
    return signed | {"avg_gap": round(fmean(map(abs, found.values())), 3)}
