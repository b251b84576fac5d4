"""The page of results says what the file says, bars included."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import measure, page, record

NOBODY: dict[str, Any] = dict.fromkeys(page.FIGURES)


def row(name: str, target: str = "class:4", **figures: Any) -> dict[str, Any]:
    return NOBODY | {"name": name, "target": target} | figures


def written(tmp_path: Path, *rows: dict[str, Any]) -> str:
    kept = record.Record(tmp_path / "made.json", dict(measure.SETTINGS), ("name", "target"))
    for each in rows:
        kept.add(each)
    return page.written(kept.path)


def test_figures_stand_in_their_columns_and_what_was_not_run_is_a_dash(tmp_path: Path) -> None:
    text = written(tmp_path, row("original", d_r=100.0, d_f=99.96, d_rt=82.112, mia_auc=0.6889))

    assert "| `original` | 100.0 | 100.0 | 82.1 | – | – | 0.689 | – | – |" in text


@pytest.mark.parametrize(("d_rt", "holds"), [(81.5, "yes"), (80.5, "no")])
def test_a_bar_is_compared_with_the_original_of_the_same_file(
    tmp_path: Path, d_rt: float, holds: str
) -> None:
    text = written(
        tmp_path,
        row("original", d_rt=82.0),
        row("boundary_expanding", d_f=0.5, d_ft=1.5, bn_recalibrated_d_f=3.0, d_rt=d_rt),
    )

    bar = "`boundary_expanding`: D_rt at most 1.0 points below the original"
    assert f"| {bar} | {82.0 - d_rt:.2f} | {holds} |" in text
    assert "| `boundary_expanding`: D_ft below 1 | 1.50 | no |" in text


def test_a_version_that_failed_is_shown_with_its_gates(tmp_path: Path) -> None:
    failed = row("boundary_shrink", verdict="fail", failed=["bn_recalibration.d_f"])

    text = written(tmp_path, failed)

    assert "| fail: bn_recalibration.d_f |" in text


def test_the_page_in_the_tree_is_made_from_the_files_in_the_tree() -> None:
    assert page.PAGE.read_text() == page.whole()
