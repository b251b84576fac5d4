"""Pictures of what is left: image by image, by share, and from version to version."""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.drawing import Axis, Frame, Panel
from workers.pictures import BROAD, Figure, Test

TRACED = {
    "membership.retained": "area: retained images",
    "rmia.auc": "area: forgotten images",
    "accuracy.d_rt": "accuracy on never-trained images",
}
ROOM = 0.05
MARKS = {"dot_rest": ("round", 1.7), "dot_forget": ("round", 2.3), "dot_after": ("diamond", 4.0)}
Line = Mapping[str, Any]


def scatter(test: Test | None) -> list[Figure]:
    """Each image's margin before and after, above that of models that never saw it."""
    if test is None or "forgotten" not in test["details"]:
        return []
    details = test["details"]
    points = {"dot_rest": details["unseen"], "dot_forget": details["forgotten"]}
    points |= {"dot_after": details["exposed"]} if details["exposed"] else {}
    x = _axis([point[0] for each in points.values() for point in each], "before (nats)")
    y = _axis([point[1] for each in points.values() for point in each], "after (nats)")
    frame = Frame(Panel("after (nats)", BROAD, 300.0), x, y, top=22)
    low, high = (min(max(bound, y.low), y.high) for bound in details["usual"])
    frame.area("band", [(x.low, low), (x.high, low), (x.high, high), (x.low, high)])
    least, most = max(x.low, y.low), min(x.high, y.high)
    if least < most:
        frame.line("chance", [(least, least), (most, most)])
    for role, each in points.items():
        frame.dots(role, each, *MARKS[role])
    frame.axes()
    legend = {
        "dot_forget": "a forgotten image",
        "dot_rest": "a never-trained image",
        "dot_after": "stands out from chance",
        "band": "95 % of never-trained images",
        "chance": "nothing changed",
    }
    reading = (
        "How much surer the model is of an image than models that never saw it, before and after. "
        "Forgotten images should fall into the band, from wherever they were; on the dotted "
        "diagonal nothing was forgotten. Some images of either side, in no order, without names."
    )
    drawn = {role: each for role, each in legend.items() if role != "dot_after" or role in points}
    return [Figure(title="Before and after", reading=reading, panels=[frame.panel], legend=drawn)]


def _axis(values: Sequence[float], name: str) -> Axis:
    """Around the middle 98 %: a few images far out must not press the others together."""
    ranked, n = sorted(values), len(values)
    low, high = ranked[n // 100], ranked[n - 1 - n // 100]
    room = ROOM * (high - low) or 1.0
    return Axis(low - room, high + room, name)


def outlook(test: Test | None) -> list[Figure]:
    """What this audit would have said, had a share of what could be seen been left."""
    if test is None or "outlook" not in test["details"]:
        return []
    details = test["details"]["outlook"]
    x = Axis(0.0, 1.0, "share of the old model's trace that is left", share=True)
    frame = Frame(Panel("chance of the verdict", BROAD), x, Axis(0.0, 1.0, share=True))
    frame.line("chance", [(details["limit"], 0.0), (details["limit"], 1.0)])
    for role, name in (("after", "passes"), ("limit", "fails")):
        frame.line(role, list(zip(details["left"], details[name], strict=True)))
    frame.axes()
    reading = (
        "With so many images, how likely was each verdict of the sharpest attack, had the new model "
        "kept a part of what the attack saw in the old one? Where neither line is high, it could "
        "not have told."
    )
    legend = {"after": "pass", "limit": "fail", "chance": "the limit"}
    panels = [frame.panel]
    return [Figure(title="What would have shown", reading=reading, panels=panels, legend=legend)]


def drift(history: Sequence[Line], tests: Mapping[str, Test], now: int) -> list[Figure]:
    """Figures of the versions that this one came from, and its own."""
    lines = [(line["version"], line["tests"]) for line in history]
    panels = []
    for test, title in TRACED.items():
        seen = [(number, found[test]) for number, found in [*lines, (now, tests)] if test in found]
        seen = [(number, each) for number, each in seen if each["estimate"] is not None]
        if len(seen) > 1:
            panels.append(_course(title, seen, share=test.startswith("accuracy")))
    if not panels:
        return []
    reading = (
        "What the newest audit said of each version that this one came from, with 95 % intervals; "
        "areas are against never-trained images, one half is a blind guess. An area of retained images that rises, version by version, means that forgetting exposes "
        "those who stay."
    )
    return [Figure(title="From version to version", reading=reading, panels=panels)]


def _course(title: str, seen: Sequence[tuple[int, Line]], *, share: bool) -> Panel:
    bounds = [
        bound
        for _, each in seen
        for bound in (each["estimate"], each["low"], each["high"])
        if bound is not None
    ]
    room = ROOM * (max(bounds) - min(bounds)) or 0.01
    first, last = seen[0][0], seen[-1][0]
    x = Axis(first - 0.5, last + 0.5, "version", ticks=min(6, last - first + 1))
    y = Axis(min(bounds) - room, max(bounds) + room, share=share, ticks=4)
    frame = Frame(Panel(title), x, y)
    frame.line("guide", [(number, each["estimate"]) for number, each in seen])
    for number, each in seen:
        if each["low"] is not None:
            frame.line("bar_line", [(number, each["low"]), (number, each["high"])])
    frame.dots("dot_estimate", [(number, each["estimate"]) for number, each in seen], size=4)
    frame.axes()
    return frame.panel
