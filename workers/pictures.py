"""Pictures of what a report measured: distributions, curves, maps; from its numbers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.drawing import Axis, Frame, Panel, Point

SIGNALS = {
    "entropy": ("How sure is the model?", "entropy of the prediction (nats)"),
    "margin": ("How well does it know the true label?", "logit margin of the true label (nats)"),
}
PARTS = {
    "forget": "forgotten",
    "forget_test": "never trained, same classes",
    "retain": "retained",
    "retain_test": "never trained, other classes",
}
TAILS = {"per_record.high": "still too familiar?", "per_record.low": "oddly unfamiliar?"}
VERSIONS = {"before": "before", "after": "after", "retrained": "retrained"}

BROAD = 440.0
"""Of a panel that stands alone."""

Test = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One or more panels under a title, with a sentence on how to read them."""

    title: str
    reading: str
    panels: Sequence[Panel]
    legend: Mapping[str, str] = field(default_factory=dict)
    """Role -> what it stands for."""
    illustrative: bool = False
    """Not evidence of anything."""
    gates: bool = False
    """The picture of all gates."""


# ---- distributions -----------------------------------------------------------------------------


def histograms(tests: Mapping[str, Test]) -> list[Figure]:
    """For each signal a panel for each version, on the same axes."""
    found = [(words, tests.get(f"histograms.{name}")) for name, words in SIGNALS.items()]
    return [_distributions(*words, test["details"]) for words, test in found if test is not None]


def _distributions(title: str, name: str, table: Mapping[str, Any]) -> Figure:
    shares = {
        version: {
            part: _shares(table[version][part]) for part in PARTS if sum(table[version][part])
        }
        for version in VERSIONS
        if version in table
    }
    drawn = {part for each in shares.values() for part in each}
    peak = max((max(bars) for each in shares.values() for bars in each.values()), default=1.0)
    edges = table["edges"]
    return Figure(
        title=title,
        reading="Height is the share of a part's images. After forgetting, the filled shape should "
        "lie where the never-trained images of the same classes lie, no further left and no "
        "further right. The outermost steps hold everything beyond them.",
        panels=[_outlines(version, name, edges, each, peak) for version, each in shares.items()],
        legend={part: label for part, label in PARTS.items() if part in drawn},
    )


def _outlines(
    version: str, name: str, edges: Sequence[float], parts: Mapping[str, list[float]], peak: float
) -> Panel:
    x = Axis(edges[0], edges[-1], name)
    frame = Frame(Panel(VERSIONS[version]), x, Axis(0.0, peak * 1.05, share=True, ticks=3))
    for part in reversed(PARTS):
        if part in parts:
            corners = _steps(edges, parts[part])
            frame.area(part, corners) if part == "forget" else frame.line(part, corners)
    frame.axes()
    return frame.panel


def _shares(counts: Sequence[int]) -> list[float]:
    return [count / sum(counts) for count in counts]


def _steps(edges: Sequence[float], bars: Sequence[float]) -> list[Point]:
    """The upper edge of bars, from the ground to the ground."""
    points = [(edges[0], 0.0)]
    for left, right, bar in zip(edges, edges[1:], bars, strict=False):
        points += [(left, bar), (right, bar)]
    return [*points, (edges[-1], 0.0)]


def p_values(tests: Mapping[str, Test]) -> list[Figure]:
    """The p-values of single images, from counts of equal bins of [0, 1]; a panel for each tail."""
    panels = [
        _flat(title, tests[test]["details"]["p_values"])
        for test, title in TAILS.items()
        if test in tests and sum(tests[test]["details"].get("p_values", []))
    ]
    if not panels:
        return []
    reading = (
        "Is each forgotten image odd among models that never saw it? Flat, as the dotted line, is "
        "what chance makes of it; a heap on the left is images that the model still treats apart."
    )
    return [Figure(title="Image by image", reading=reading, panels=panels)]


def _flat(title: str, counts: Sequence[int]) -> Panel:
    shares, even = _shares(counts), 1 / len(counts)
    edges = [place * even for place in range(len(counts) + 1)]
    y = Axis(0.0, max(*shares, even) * 1.15, share=True, ticks=4)
    frame = Frame(Panel(title, BROAD), Axis(0.0, 1.0, "p-value of a forgotten image"), y)
    frame.area("after_bars", _steps(edges, shares))
    frame.line("chance", [(0.0, even), (1.0, even)])
    frame.axes()
    return frame.panel


# ---- curves ------------------------------------------------------------------------------------


def roc(test: Test | None) -> list[Figure]:
    """True against false accusations on logarithmic axes."""
    if test is None or not test["details"]:
        return []
    curve = test["details"]
    x = Axis(1e-4, 1.0, "wrongly accused: never-trained images", share=True, log=True)
    y = Axis(1e-3, 1.0, share=True, log=True)
    panel = Panel("rightly accused: forgotten images", BROAD, 300.0)
    frame = Frame(panel, x, y, left=56, top=22)
    rates, blind = curve["fpr"], min(1.0, curve["resolved"])
    frame.area("rest", [(1e-4, 1e-3), (blind, 1e-3), (blind, 1.0), (1e-4, 1.0)])
    upper, lower = (
        list(zip(rates, curve["high"], strict=True)),
        zip(rates, curve["low"], strict=True),
    )
    frame.area("band", [*upper, *reversed(list(lower))])
    for place, name in ((0.001, "0.1 %"), (0.01, "1 %")):
        frame.line("guide", [(place, 1e-3), (place, 1.0)])
        frame.say(name, place, 1.0, up=3)
    frame.line("chance", [(1e-3, 1e-3), (1.0, 1.0)])
    for each in curve["retrained"]:
        frame.line("retrained", _seen(rates, each))
    frame.line("after", _seen(rates, curve["after"]))
    frame.line("before", _seen(rates, curve["before"]))
    frame.axes()
    legend = {"before": "before", "after": "after", "band": "95 % interval of after"}
    legend |= {"retrained": "retrained"} if curve["retrained"] else {}
    legend |= {"chance": "blind guessing", "rest": "too few never-trained images to tell"}
    return [
        Figure(
            title="An attacker who may accuse only few",
            reading="Each point is one threshold on the margin. On the dotted diagonal the attacker "
            "guesses; above it he recognises forgotten images. In the grey part fewer than ten "
            f"of the {curve['nonmembers']:,} never-trained images are accused: nothing can be "
            "concluded there.",
            panels=[frame.panel],
            legend=legend,
        )
    ]


def _seen(rates: Sequence[float], found: Sequence[float]) -> list[Point]:
    """Without the points that a logarithmic axis has no place for."""
    return [(rate, share) for rate, share in zip(rates, found, strict=True) if share > 0]


def relearn(test: Test | None) -> list[Figure]:
    """Accuracy on a forgotten class while copies are taught it again, after each epoch."""
    if test is None or "curve" not in test["details"]:
        return []
    details = test["details"]
    curves = {
        "retrained": details["curves_retrained"],
        "before": [details["curve_before"]],
        "after": [details["curve"]],
    }
    last = max(len(details["curve"]), 2)
    x = Axis(1.0, last, "epochs on a few images of the class", ticks=min(5, last - 1))
    frame = Frame(Panel("accuracy on the forgotten class", BROAD), x, Axis(0.0, 1.0, share=True))
    for version, found in curves.items():
        for each in found:
            frame.line(version, [(epoch + 1.0, share) for epoch, share in enumerate(each)])
    frame.axes()
    reading = (
        "A model that only hides a class has it back at once; one that never knew it needs as long "
        "as the retrained ones."
    )
    legend = {version: version for version, found in curves.items() if found}
    return [Figure(title="Learning it again", reading=reading, panels=[frame.panel], legend=legend)]
