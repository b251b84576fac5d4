"""The report on paper: a PDF with the verdict, the checks and the pictures of the page."""

from collections.abc import Mapping
from typing import Any

from workers import page
from workers.bars import control
from workers.page import shown, titled
from workers.sheet import FAINT, MARGIN, TONES, Paper, Row

MARKS = {"pass": "✓ pass", "fail": "✕ fail", "inconclusive": "? inconclusive"}


def render(report: Mapping[str, Any]) -> bytes:
    """The document as a PDF; the same document gives the same bytes."""
    after = report["models"]["after"]
    paper = Paper(
        f"Audit of {report['models']['name']}, version {after['number']}", report["created_at"]
    )
    _front(paper, report)
    _checks(paper, report)
    for figure in page.figures(report):
        paper.figure(figure)
    _measures(paper, report)
    _provenance(paper, report)
    return bytes(paper.output())


def _front(paper: Paper, report: Mapping[str, Any]) -> None:
    paper.say(paper.foot, 17, style="B")
    beside = f" · compared with version {report['models']['before']['number']}"
    nothing = report["request"]["goal"] == "none"
    paper.say(f"{report['created_at'][:10]}{'' if nothing else beside}", 8.5, FAINT)
    paper.ln(4)
    top, tone = paper.get_y(), TONES[report["verdict"]]
    paper.set_left_margin(MARGIN + 5)
    paper.set_x(MARGIN + 5)
    paper.say(report["headline"], 11.5, tone, "B")
    paper.ln(1)
    paper.say(report["statement"]["dpo"], 9.5)
    paper.set_left_margin(MARGIN)
    paper.set_fill_color(*tone)
    paper.rect(MARGIN, top, 1.6, paper.get_y() - top, style="F")
    paper.set_x(MARGIN)
    _asked(paper, report["request"], report["data"])
    paper.title_of("What this does not show")
    for limit in report["statement"]["limits"]:
        paper.say(f"· {limit}")


def _asked(paper: Paper, asked: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    paper.title_of("What was asked")
    if asked["goal"] == "none":
        paper.say("Nothing: a baseline, to compare later versions with.")
    else:
        whose = "" if asked["n_people"] is None else f" (people: {asked['n_people']:,})"
        paper.say(
            f"To forget {asked['n_forget']:,} training images{whose}; requests: {asked['requests']}."
        )
    gone = [data["class_names"][label] for label in asked["forgotten_classes"]]
    if gone:
        paper.say(f"Gone: every training image of {', '.join(gone)}.")
    part = data["nonmembers"]["slice"]
    cut = f", part {part['number']} of {part['of']}" if part and part["of"] > 1 else ""
    paper.say(
        f"Dataset: {data['dataset']}. Never-trained images: {data['nonmembers']['n']:,}{cut}."
    )


def _checks(paper: Paper, report: Mapping[str, Any]) -> None:
    gates = [test for test in report["tests"] if test["verdict"]]
    rows = [
        (
            f"{titled(test['test'])}\n{test['gate']}",
            shown(test["before"], test["unit"]),
            _interval(test),
            f"{MARKS[test['verdict']]}\n{test['reason']}".strip(),
        )
        for test in gates
    ]
    paper.title_of("The checks")
    paper.rows(
        ("Check", "Before", "After, 95 % interval", "Result"),
        rows,
        (40, 13, 21, 40),
        [test["verdict"] for test in gates],
    )
    if report["controls"]:
        paper.title_of("Does the audit work here?")
        paper.rows(
            ("Control", "Value, 95 % interval", "Result"),
            [_control(line) for line in report["controls"]],
            (40, 30, 40),
            ["pass" if line["as_expected"] else "fail" for line in report["controls"]],
        )


def _control(line: Mapping[str, Any]) -> Row:
    name = f"{control(line['name'])}\n{titled(line['test'])}"
    came = "as expected" if line["as_expected"] else "not as expected"
    return name, _interval({**line, "unit": ""}), f"{came}: {line['verdict']}"


def _interval(test: Mapping[str, Any]) -> str:
    value = shown(test["estimate"], test["unit"])
    if test["low"] is None:
        return value
    return f"{value}\n{shown(test['low'], test['unit'])} to {shown(test['high'], test['unit'])}"


def _measures(paper: Paper, report: Mapping[str, Any]) -> None:
    rows = [
        (
            titled(test["test"]),
            shown(test["before"], test["unit"]),
            _interval(test),
            f"{test['n']:,}" if test["n"] else "–",
            test["reason"],
        )
        for test in report["tests"]
        if not test["verdict"] and test["estimate"] is not None
    ]
    paper.title_of("Measures that were reported and not judged")
    paper.rows(
        ("Measure", "Before", "After, 95 % interval", "Images", "Remark"),
        rows,
        (36, 15, 24, 12, 30),
    )


def _provenance(paper: Paper, report: Mapping[str, Any]) -> None:
    before, after = report["models"]["before"], report["models"]["after"]
    facts = {
        "Audit": f"{report['audit']}, schema {report['schema']}",
        "Weights before": before["digest"],
        "Weights after": after["digest"],
        "Method": f"{after['method'] or 'none'}, seed {after['seed']}",
        "Architecture": report["models"]["architecture"],
        "Dataset fingerprint": report["data"]["fingerprint"],
        "Keyed hash of the forget set": report["request"]["manifest"] or "–",
        **report["provenance"],
    }
    paper.title_of("Provenance")
    paper.rows(
        ("What", "Value"),
        [(key.replace("_", " "), str(value)) for key, value in facts.items()],
        (30, 90),
    )
