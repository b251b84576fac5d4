"""Gaps are signed, and to the retrained models of the same target."""

from typing import Any

import pytest

from benchmarks.gaps import with_gaps
from benchmarks.pareto import best, drifted


def row(name: str, ua: float | None, ta: float = 80.0, **more: Any) -> dict[str, Any]:
    known = {"name": name, "target": "class:4", "data": "slice", "seed": 0}
    return known | {"ua": ua, "ra": 100.0, "ta": ta, "mia": 90.0} | more


def test_a_row_is_held_against_the_mean_of_the_retrained() -> None:
    rows = [row("retrained", 99.0), row("retrained", 100.0, 82.0), row("finetune", 40.0, 82.0)]

    first, second, tuned = with_gaps(rows)

    assert (tuned["gap_ua"], tuned["gap_ta"]) == (-59.5, 1.0)
    assert tuned["avg_gap"] == pytest.approx((59.5 + 1.0) / 4)
    assert (first["gap_ua"], second["gap_ta"]) == (-1.0, 2.0)


def test_without_anything_to_compare_with_gaps_are_null() -> None:
    other = row("retrained", 5.0) | {"target": "samples:500"}
    refused = row("amnesiac", None)

    found = with_gaps([row("finetune", 40.0), other, refused, row("retrained", 100.0)])

    assert found[0]["gap_ua"] == -60.0
    assert [each["avg_gap"] for each in found[1:]] == [None, None, None]


def test_who_is_beaten_in_everything_is_not_among_the_best() -> None:
    fast = {"gap_ua": -4.0, "gap_mia": 0.0, "gap_ta": -1.0, "rte_seconds": 1.0}
    good = fast | {"gap_ua": 0.0, "rte_seconds": 9.0}
    beaten = fast | {"rte_seconds": 2.0}

    assert best([beaten, fast, good]) == [fast, good]


def test_the_time_of_a_sparse_net_is_that_of_making_it_sparse_as_well() -> None:
    dense = {"gap_ua": -4.0, "gap_mia": 0.0, "gap_ta": -1.0, "rte_seconds": 2.0}
    sparse = dense | {"rte_seconds": 1.0, "prune_seconds": 100.0}

    assert best([dense, sparse]) == [dense]


@pytest.mark.parametrize(("fresh", "comes_back"), [(100.0, True), (3.0, False), (None, False)])
def test_what_comes_back_with_fresh_statistics_is_not_forgotten(
    fresh: float | None, comes_back: bool
) -> None:
    assert drifted({"d_f": 2.0, "bn_recalibrated_d_f": fresh}) is comes_back
