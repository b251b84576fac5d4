"""Pictures with a line for each gate, class or label; from a report's numbers alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.drawing import Axis, Frame, Panel, fitted
from workers.pictures import Figure, Test

LINE = 22.0
"""Height of one line."""
SLIM = 0.02
"""Share of the axis to either side of a single value that is all that a gate allows."""
MOST = 20
"""Lines that a picture has room for."""
BOTTOM, TOP = 36.0, 8.0
WIDE = 440.0
KINDS = {
    "": "area or distance",
    "share": "share of images",
    "points": "difference of shares",
}
CONTROLS = {
    "original_must_fail": "old model, to catch",
    "never_saw_must_pass": "never saw them, to clear",
}
Line = Mapping[str, Any]


def _frame(title: str, lines: int, x: Axis, left: float) -> Frame:
    panel = Panel(title, WIDE, TOP + BOTTOM + LINE * lines)
    return Frame(panel, x, Axis(0.0, float(lines)), left, BOTTOM, TOP)


def _named(names: Sequence[str], label: int) -> str:
    return fitted(names[label] if label < len(names) else str(label), 18)


# ---- gates -------------------------------------------------------------------------------------


def forest(
    tests: Sequence[Test], controls: Sequence[Line], titles: Mapping[str, str]
) -> list[Figure]:
    """Every gate with an interval or retrained models beside it; controls in grey below.

    Args:
        tests: as the report has them. controls: likewise.
        titles: test -> how people write its name.
    """
    gates = [test for test in tests if test["verdict"] and len(_reach(test)) > 1]
    panels = [
        _gates(KINDS[unit], [gate for gate in gates if gate["unit"] == unit], controls, titles)
        for unit in KINDS
        if any(gate["unit"] == unit for gate in gates)
    ]
    if not panels:
        return []
    legend = {"dot_estimate": "estimate and 95 % interval", "allowed": "allowed by the gate"}
    if any(_retrained(gate) for gate in gates):
        legend["dot_forget_test"] = "a retrained model"
    if controls:
        legend["dot_control"] = "the same test put to a control model"
    reading = (
        "One line for each check that has an interval, or retrained models beside it. A check passes with its estimate in the "
        "shaded zone; an area must lie there with its whole interval. Round: passed. Diamond: "
        "failed. Square: could not tell."
    )
    return [
        Figure(
            title="All checks at a glance",
            reading=reading,
            panels=panels,
            legend=legend,
            gates=True,
        )
    ]


def _gates(
    title: str, gates: Sequence[Test], controls: Sequence[Line], titles: Mapping[str, str]
) -> Panel:
    lines = [
        line
        for gate in gates
        for line in (gate, *(c for c in controls if c["test"] == gate["test"] and _whole(c)))
    ]
    ends = [value for line in lines for value in _reach(line)]
    ends += [end for gate in gates for end in _allowed(gate) or () if 0 < abs(end) < 1]
    x = _spread(min(ends), max(ends), share=gates[0]["unit"] != "")
    frame = _frame(title, len(lines), x, 188.0)
    for place, line in enumerate(lines):
        middle = len(lines) - place - 0.5
        _gate(frame, line, middle, x)
        own = (
            titles.get(line["test"], line["test"])
            if "unit" in line
            else "↳ " + control(line["name"])
        )
        frame.say(fitted(own, 31), x.low, middle, "end", across=-8, up=-4)
    frame.axes(upright=False)
    return frame.panel


def _gate(frame: Frame, line: Line, middle: float, x: Axis) -> None:
    gate, allowed = "unit" in line, _allowed(line)
    if allowed:
        slim = SLIM * (x.high - x.low) * (allowed[0] == allowed[1])
        left, right = max(allowed[0] - slim, x.low), min(allowed[1] + slim, x.high)
        around = [
            (a, middle + b) for a, b in ((left, 0.42), (right, 0.42), (right, -0.42), (left, -0.42))
        ]
        frame.area("allowed", around)
    if line["low"] is not None:
        ends = [(line["low"], middle), (line["high"], middle)]
        frame.line("bar_line" if gate else "control", ends)
    frame.dots("dot_forget_test", [(value, middle) for value in _retrained(line)], "up", 3)
    mark = {"pass": "round", "fail": "diamond"}.get(line["verdict"], "box")
    frame.dots("dot_estimate" if gate else "dot_control", [(line["estimate"], middle)], mark, 4)


def _allowed(line: Line) -> Sequence[float] | None:
    """Where the gate wants the estimate."""
    found: Sequence[float] | None = line.get("allowed")
    return found


def _retrained(line: Line) -> Sequence[float]:
    """The same number of retrained models, where the check has them."""
    return list(line.get("details", {}).get("retrained", []))


def _reach(line: Line) -> list[float]:
    """All values that the line shows."""
    found = (line["estimate"], line["low"], line["high"], *_retrained(line))
    return [value for value in found if value is not None]


def _whole(control: Line) -> bool:
    return control["low"] is not None and control["estimate"] is not None


def control(name: str) -> str:
    """The name of a control as people write it."""
    return CONTROLS.get(name, name.replace("_", " "))


def _spread(low: float, high: float, *, share: bool) -> Axis:
    room = 0.06 * (high - low) or 0.01
    return Axis(low - room if low else low, high + room, share=share)


# ---- classes -----------------------------------------------------------------------------------


def per_class(test: Test | None, names: Sequence[str], gone: Sequence[int]) -> list[Figure]:
    """Accuracy on never-trained images before and after; forgotten classes first.

    With many classes, those that changed most.
    """
    if test is None or test["estimate"] is None:
        return []
    found = sorted(
        test["details"]["per_class"],
        key=lambda line: (line["label"] not in gone, -abs(line["after"] - line["before"])),
    )
    lines = found[:MOST]
    if len(found) <= MOST:
        lines = sorted(lines, key=lambda line: (line["label"] not in gone, line["label"]))
    frame = _frame(
        "accuracy on never-trained images", len(lines), Axis(0.0, 1.0, share=True), 120.0
    )
    for place, line in enumerate(lines):
        _dumbbell(frame, line, len(lines) - place - 0.5)
        name = _named(names, line["label"]) + (" (forgotten)" if line["label"] in gone else "")
        frame.say(name, 0.0, len(lines) - place - 0.5, "end", across=-8, up=-4)
    frame.axes(upright=False)
    legend = {"dot_before": "before", "dot_after": "after"}
    if any(line["retrained"] for line in lines):
        legend["retrained_zone"] = "range of the retrained models"
    left = len(found) - len(lines)
    reading = "A forgotten class should fall, the others should stay where they were."
    reading += f" {left} classes that changed less are left out." if left else ""
    return [Figure(title="Class by class", reading=reading, panels=[frame.panel], legend=legend)]


def _dumbbell(frame: Frame, line: Line, middle: float) -> None:
    before, after = line["before"], line["after"]
    frame.line("guide", [(0.0, middle), (1.0, middle)])
    if line["retrained"]:
        low, high = min(line["retrained"]), max(line["retrained"])
        corners = (
            (low - 0.004, 0.3),
            (high + 0.004, 0.3),
            (high + 0.004, -0.3),
            (low - 0.004, -0.3),
        )
        frame.area("retrained_zone", [(x, middle + y) for x, y in corners])
    frame.line("bar_line", [(before, middle), (after, middle)])
    frame.dots("dot_before", [(before, middle)], size=4.5)
    frame.dots("dot_after", [(after, middle)], "diamond", size=3.6)


def destination(test: Test | None, names: Sequence[str]) -> list[Figure]:
    """For each predicted label its share of the forget set."""
    if test is None or not test["n"]:
        return []
    details = test["details"]
    before, after = (details[f"predicted_{side}"] for side in ("before", "after"))
    oracles = details["predicted_retrained"]
    order = sorted(range(len(before)), key=lambda label: -max(before[label], after[label]))
    labels = [label for label in order if before[label] or after[label]][:MOST]
    frame = _frame("share of the forgotten images", len(labels), Axis(0.0, 1.0, share=True), 120.0)
    for place, label in enumerate(labels):
        level = len(labels) - place - 0.5
        _bar(frame, "bar_before", before[label] / sum(before), level, level + 0.36)
        _bar(frame, "bar_after", after[label] / sum(after), level - 0.36, level)
        seen = [each[label] / sum(each) for each in oracles]
        if seen:
            frame.dots("dot_forget_test", [(share, level - 0.18) for share in seen], "up", 3)
        frame.say(_named(names, label), 0.0, level, "end", across=-8, up=-4)
    frame.axes(upright=False)
    legend = {"bar_before": "before", "bar_after": "after"}
    if oracles:
        legend["dot_forget_test"] = "a retrained model"
    reading = (
        "A retrained model spreads a forgotten class over look-alikes. Nearly everything on one "
        "label, or an even spread over all, is a trace of the method."
    )
    title = "What the forgotten images are taken for"
    return [Figure(title=title, reading=reading, panels=[frame.panel], legend=legend)]


def _bar(frame: Frame, role: str, share: float, low: float, high: float) -> None:
    if share:
        frame.area(role, [(0.0, high), (share, high), (share, low), (0.0, low)])
