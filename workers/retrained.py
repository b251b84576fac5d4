"""A number of the version under audit among those of models retrained without the class."""

from collections.abc import Sequence

from workers.evidence import Evidence, Finding, Scores
from workers.inference import band, inside

LEAST = 5
"""Retrained models: the band of fewer is too wide to find anything."""
MISSING = (
    f"It takes {LEAST} models retrained without the class; train them with "
    f"`lethe pool build --without CLASS --size {LEAST}`."
)
LEVEL = 0.01
"""Share of retrained models that lie outside; there are several such tests, and 5 % in all."""


def scores_of(evidence: Evidence) -> list[Scores]:
    """Those of the retrained models."""
    return [retrain.scores for retrain in evidence.retrains]


def placed(
    test: str,
    evidence: Evidence,
    value: float,
    others: Sequence[float],
    *,
    n: int,
    counted: int | None,
    gate: str,
    unit: str = "",
    before: float | None = None,
) -> Finding:
    """Is the value no larger than that of one more retrained model?"""
    level = LEVEL * evidence.alpha / 0.05
    found = band(others, counted)
    ruling = inside(value, found, level)
    return Finding(
        test=test,
        estimate=value,
        n=n,
        unit=unit,
        gate=gate,
        allowed=(0.0, found.bound(1 - level)),
        verdict=ruling.verdict,
        reason=ruling.reason,
        before=before,
        details={"retrained": list(others)},
        p_value=ruling.p_value,
        power=1 - level,
    )
