"""A row is never lost, and rows stand together only if everything around them is the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import record
from benchmarks.record import Record

ROW = {"name": "original", "target": "class:4", "d_f": 100.0}
KEY = {"name": "original", "target": "class:4"}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def opened(path: Path, half: str = "odd") -> Record:
    return Record(path, {"half": half}, ("name", "target"))


def test_a_run_goes_on_where_another_stopped(tmp_path: Path) -> None:
    path = tmp_path / "results" / "made.json"
    opened(path).add(ROW)

    second = opened(path)
    second.add({**ROW, "name": "retrained"})

    assert second.has(KEY)
    assert [row["name"] for row in read(path)["rows"]] == ["original", "retrained"]
    assert read(path)["machine"]["cores"] >= 1
    assert not list(path.parent.glob("*.part"))


def test_rows_of_other_settings_are_put_aside_with_all_that_decided_them(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    opened(path).add(ROW)

    opened(path, "even").add({**ROW, "d_f": 50.0})

    found = read(path)
    assert found["settings"] == {"half": "even"}
    assert [row["d_f"] for row in found["rows"]] == [50.0]
    assert [old["settings"] for old in found["earlier"]] == [{"half": "odd"}]
    assert [row["d_f"] for row in found["earlier"][0]["rows"]] == [100.0]


def test_a_row_of_another_commit_stands_until_it_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made.json"
    monkeypatch.setattr(record, "commit", lambda: "a" * 40)
    opened(path).add(ROW)
    opened(path).add({**ROW, "name": "retrained"})
    monkeypatch.setattr(record, "commit", lambda: "b" * 40)

    second = opened(path)
    missing = not second.has(KEY)
    second.add({**ROW, "d_f": 99.0})

    found = read(path)
    assert missing
    assert [(row["name"], row["d_f"], row["commit"][0]) for row in found["rows"]] == [
        ("original", 99.0, "b"),
        ("retrained", 100.0, "a"),
    ]
    assert [row["commit"][0] for old in found["earlier"] for row in old["rows"]] == ["a"]


def test_tables_of_a_file_are_written_beside_each_other_and_put_aside_together(
    tmp_path: Path,
) -> None:
    path = tmp_path / "made.json"
    opened(path).add(ROW)
    Record(path, {"half": "odd"}, ("plan",), "cost").add({"plan": "quick", "ratio": 0.3})

    beside = read(path)
    opened(path, "even").add(ROW)

    assert (len(beside["rows"]), len(beside["cost"])) == (1, 1)
    after = read(path)
    assert "cost" not in after
    assert [row["plan"] for row in after["earlier"][0]["cost"]] == ["quick"]
