"""Pictures of stored numbers, as coordinates that a page can draw: histograms and bars."""

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 320.0, 130.0
"""Of one panel, in the units of its drawing."""

SIGNALS = {
    "loss": "Loss (cross-entropy, nats)",
    "entropy": "Entropy of the prediction (nats)",
    "margin": "Logit margin of the true label (nats)",
}
PARTS = {
    "forget": "forget set",
    "forget_test": "never trained, same classes",
    "retain": "retain set",
    "retain_test": "never trained, other classes",
}

Test = Mapping[str, Any]
Drawing = dict[str, Any]


def histograms(tests: Mapping[str, Test]) -> list[Drawing]:
    """For each signal a panel before and one after, on the same axes.

    A panel has a line for each part with images: shares of the part's images, by bin.
    """
    found = [(name, title, tests.get(f"histograms.{name}")) for name, title in SIGNALS.items()]
    return [_pair(title, test["details"]) for _, title, test in found if test is not None]


def _pair(title: str, table: Mapping[str, Any]) -> Drawing:
    heights = {
        side: {part: _shares(table[side][part]) for part in PARTS if sum(table[side][part])}
        for side in ("before", "after")
    }
    peak = max((max(bars) for side in heights.values() for bars in side.values()), default=1.0)
    return {
        "title": title,
        "low": table["edges"][0],
        "high": table["edges"][-1],
        "panels": [
            {
                "title": side,
                "lines": [
                    {"part": part, "label": PARTS[part], "path": outline(bars, peak)}
                    for part, bars in parts.items()
                ],
            }
            for side, parts in heights.items()
        ],
    }


def _shares(counts: Sequence[int]) -> list[float]:
    return [count / sum(counts) for count in counts]


def outline(bars: Sequence[float], peak: float) -> str:
    """The upper edge of bars as an SVG path from the ground to the ground; `peak` is full height."""
    wide = WIDTH / len(bars)
    points = [f"M0 {HEIGHT:.1f}"]
    for place, bar in enumerate(bars):
        points.append(f"V{HEIGHT * (1 - bar / peak):.1f}H{wide * (place + 1):.1f}")
    return "".join([*points, f"V{HEIGHT:.1f}"])


def destination(test: Test | None, names: Sequence[str]) -> list[Drawing]:
    """For each predicted label its share of the forget set, before and after."""
    if test is None or not test["n"]:
        return []
    details = test["details"]
    sides = (_shares(details["predicted_before"]), _shares(details["predicted_after"]))
    return [
        {"name": name, "before": before, "after": after}
        for name, before, after in zip(_named(names, len(sides[0])), *sides, strict=True)
        if before or after
    ]


def per_class(test: Test | None, names: Sequence[str]) -> list[Drawing]:
    """For each class its accuracy on never-trained images, before and after."""
    if test is None or test["estimate"] is None:
        return []
    lines = test["details"]["per_class"]
    titles = _named(names, 1 + max(line["label"] for line in lines))
    return [{"name": titles[line["label"]], **line} for line in lines]


def _named(names: Sequence[str], size: int) -> list[str]:
    return [names[label] if label < len(names) else str(label) for label in range(size)]
