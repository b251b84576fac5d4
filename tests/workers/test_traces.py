"""Pictures of what is left hold what the report has, and nothing where it has nothing."""

from typing import Any

from made import WEIGHED

from workers import traces
from workers.drawing import Panel

HISTORY = [
    {
        "version": number,
        "tests": {"membership.retained": {"estimate": 0.6, "low": 0.5, "high": 0.7}},
    }
    for number in (1, 2)
]


def found(test: str) -> dict[str, Any]:
    finding = next(each for each in WEIGHED if each.test == test)
    return {"estimate": finding.estimate, "before": finding.before, "details": finding.details}


def drawn(panel: Panel, role: str) -> int:
    return sum(len(path.lines) for path in panel.paths if path.role == role)


def test_each_image_is_a_dot_and_what_stands_out_a_mark_of_its_own() -> None:
    test = found("per_record.exposed")

    (figure,) = traces.scatter(test)
    (quiet,) = traces.scatter({**test, "details": {**test["details"], "exposed": []}})

    (panel,) = figure.panels
    assert [drawn(panel, role) for role in ("dot_forget", "dot_rest", "dot_after")] == [3, 3, 1]
    assert "dot_after" in figure.legend
    assert "dot_after" not in quiet.legend


def test_a_course_takes_two_versions_that_were_measured() -> None:
    now = {"membership.retained": {"estimate": 0.61, "low": None, "high": None}}

    (figure,) = traces.drift(HISTORY, now, 3)

    (panel,) = figure.panels
    assert drawn(panel, "dot_estimate") == 3
    assert drawn(panel, "bar_line") == 2
    assert [word.text for word in panel.words if word.text in {"1", "2", "3"}] == ["1", "2", "3"]
    assert traces.drift([], now, 1) == []
    assert traces.drift(HISTORY[:1], {}, 2) == []


def test_without_an_attack_there_is_no_outlook() -> None:
    assert traces.outlook({**found("rmia.auc"), "details": {}}) == []
    assert traces.scatter(None) == traces.outlook(None) == []
