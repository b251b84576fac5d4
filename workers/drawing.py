"""Panels of paths and words in a frame with axes: drawn once, for a page and for paper alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 340.0, 216.0
"""Of an ordinary panel; a page scales it, paper takes it as it is."""
LEFT, RIGHT, TOP, BOTTOM = 42.0, 18.0, 10.0, 36.0
"""Room around the frame, for ticks and names of axes."""
LETTER = 5.8
"""About the width of a letter of the words in a panel."""

Point = tuple[float, float]


class Style(NamedTuple):
    """How a role looks. Colours after Okabe and Ito, darkened or lightened to stand out."""

    light: str
    dark: str
    width: float = 1.6
    """Of the stroke; 0 for none."""
    dash: tuple[float, ...] = ()
    fill: float = 0.0
    """Opacity of the area."""


STYLES = {
    "forget": Style("#c44e00", "#ff9a4d", 2.4, (), 0.16),
    "forget_test": Style("#007d5c", "#3fc9a0", 1.8, (7, 3)),
    "retain": Style("#0072b2", "#56b4e9", 1.3),
    "retain_test": Style("#8a63a8", "#c9a3e6", 1.6, (2, 3)),
    "before": Style("#5c6672", "#a3adb8", 1.8, (6, 3)),
    "after": Style("#0072b2", "#56b4e9", 2.4),
    "retrained": Style("#007d5c", "#3fc9a0", 1.6, (2, 2)),
    "band": Style("#0072b2", "#56b4e9", 0, (), 0.16),
    "rest": Style("#5c6672", "#a3adb8", 0, (), 0.12),
    "limit": Style("#c44e00", "#ff9a4d", 1.4, (4, 3)),
    "guide": Style("#b4bcc5", "#4a545f", 1, (1, 3)),
    "axis": Style("#b4bcc5", "#4a545f", 1),
    "dot_forget": Style("#c44e00", "#ff9a4d", 0, (), 0.85),
    "dot_forget_test": Style("#007d5c", "#3fc9a0", 0, (), 0.85),
    "dot_rest": Style("#5c6672", "#a3adb8", 0, (), 0.4),
    "dot_before": Style("#5c6672", "#a3adb8", 1.4),
    "dot_after": Style("#0072b2", "#56b4e9", 0, (), 1.0),
    "dot_estimate": Style("#0072b2", "#56b4e9", 0, (), 1.0),
    "dot_control": Style("#76808c", "#8b95a1", 1.4),
    "control": Style("#76808c", "#8b95a1", 1.4),
    "allowed": Style("#007d5c", "#3fc9a0", 0, (), 0.16),
    "bar_line": Style("#0072b2", "#56b4e9", 2),
    "retrained_zone": Style("#007d5c", "#3fc9a0", 1, (), 0.3),
    "after_bars": Style("#0072b2", "#56b4e9", 1.6, (), 0.16),
    "chance": Style("#5c6672", "#a3adb8", 1.4, (2, 2.5)),
    "bar_before": Style("#5c6672", "#a3adb8", 1, (), 0.25),
    "bar_after": Style("#0072b2", "#56b4e9", 0, (), 0.9),
    "heat": Style("#0072b2", "#56b4e9", 0, (), 1.0),
}

HOLLOW = ("dot_before", "dot_control")
"""Filled with paper."""


@dataclass(frozen=True, slots=True)
class Path:
    """Straight lines through points, each line on its own; closed ones enclose an area."""

    role: str
    lines: Sequence[Sequence[Point]]
    closed: bool = False
    opacity: float = 1.0

    @property
    def d(self) -> str:
        """The lines as SVG writes them."""
        end = "Z" if self.closed else ""
        return "".join(
            "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line) + end for line in self.lines
        )


@dataclass(frozen=True, slots=True)
class Words:
    """A short text at a point; `anchor` is start, middle or end."""

    text: str
    x: float
    y: float
    anchor: str = "middle"
    strong: bool = False


@dataclass(slots=True)
class Panel:
    """A drawing, from the top left corner."""

    title: str
    width: float = WIDTH
    height: float = HEIGHT
    paths: list[Path] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


# ---- axes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Axis:
    """From a value to a share of the way along; values beyond the ends stay at the ends."""

    low: float
    high: float
    name: str = ""
    share: bool = False
    """Ticks are written in percent."""
    log: bool = False
    ticks: int = 5
    """About how many, where the axis is not logarithmic."""

    def at(self, value: float) -> float:
        """The share of the way, in [0, 1]."""
        if self.log:
            low, high = log10(self.low), log10(self.high)
            value = log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def marks(self) -> list[tuple[float, str]]:
        """Where ticks stand, and what they say."""
        if self.log:
            powers = range(round(log10(self.low)), round(log10(self.high)) + 1)
            return [(10.0**power, self.said(10.0**power, -power)) for power in powers]
        step = _round_step((self.high - self.low) / self.ticks)
        places = max(0, -floor(log10(step) + 1e-9))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [(n * step, self.said(n * step, places)) for n in range(first, last + 1)]

    def said(self, value: float, places: int) -> str:
        """A tick in words."""
        if self.share:
            return f"{100 * value:.{max(0, places - 2)}f} %"
        return f"{value + 0.0:.{max(0, places)}f}"


def _round_step(least: float) -> float:
    power = 10.0 ** floor(log10(least))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least * (1 - 1e-9))


@dataclass(slots=True)
class Frame:
    """A panel with two axes, on which values are drawn."""

    panel: Panel
    x: Axis
    y: Axis
    left: float = LEFT
    bottom: float = BOTTOM
    top: float = TOP

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values lies on the panel."""
        wide = self.panel.width - self.left - RIGHT
        high = self.panel.height - self.top - self.bottom
        return self.left + wide * self.x.at(x), self.top + high * (1 - self.y.at(y))

    def axes(self, *, upright: bool = True) -> None:
        """Both axes with ticks and names; without `upright` only the lower one."""
        x, y = self.x, self.y
        corner, right, above = self.at(x.low, y.low), self.at(x.high, y.low), self.at(x.low, y.high)
        lines = [[above, corner, right]] if upright else [[corner, right]]
        ground = corner[1]
        for value, text in x.marks():
            place = self.at(value, y.low)[0]
            lines.append([(place, ground), (place, ground + 4)])
            self.panel.words.append(Words(text, place, ground + 15))
        for value, text in y.marks() if upright else []:
            level = self.at(x.low, value)[1]
            lines.append([(corner[0] - 4, level), (corner[0], level)])
            self.panel.words.append(Words(text, corner[0] - 7, level + 4, "end"))
        self.panel.paths.insert(0, Path("axis", lines))
        middle = (corner[0] + right[0]) / 2
        self.panel.words.append(Words(x.name, middle, ground + 30))

    def line(self, role: str, points: Sequence[Point]) -> None:
        """Straight lines from point to point."""
        self.panel.paths.append(Path(role, [[self.at(*point) for point in points]]))

    def area(self, role: str, points: Sequence[Point], opacity: float = 1.0) -> None:
        """What the points go round."""
        around = [[self.at(*point) for point in points]]
        self.panel.paths.append(Path(role, around, closed=True, opacity=opacity))

    def dots(
        self, role: str, points: Sequence[Point], mark: str = "round", size: float = 3
    ) -> None:
        """A mark at each point: round, up (a triangle), box or diamond."""
        around = [_mark(mark, *self.at(*point), size) for point in points]
        self.panel.paths.append(Path(role, around, closed=True))

    def say(
        self,
        text: str,
        x: float,
        y: float,
        anchor: str = "middle",
        *,
        across: float = 0,
        up: float = 0,
    ) -> None:
        """Words at a pair of values, moved `across` to the right and `up`."""
        place, level = self.at(x, y)
        self.panel.words.append(Words(text, place + across, level - up, anchor))


CORNERS = {
    "round": [(1, 0), (0.71, 0.71), (0, 1), (-0.71, 0.71), (-1, 0), (-0.71, -0.71), (0, -1), (0.71, -0.71)],
    "up": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
    "box": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "diamond": [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
}  # fmt: skip


def _mark(mark: str, x: float, y: float, size: float) -> list[Point]:
    return [(x + size * across, y + size * down) for across, down in CORNERS[mark]]


MARKS = {"dot_forget_test": "up", "dot_after": "diamond", "dot_control": "round"}


def swatch(role: str) -> Panel:
    """A sample of a role, for the legend."""
    panel = Panel("", 28, 12)
    style = STYLES[role]
    if role.startswith("dot_"):
        panel.paths.append(Path(role, [_mark(MARKS.get(role, "round"), 14, 6, 4)], closed=True))
    elif style.fill:
        corners = [(2.0, 1.0), (26.0, 1.0), (26.0, 11.0), (2.0, 11.0)]
        panel.paths.append(Path(role, [corners], closed=True))
    else:
        panel.paths.append(Path(role, [[(0, 6), (28, 6)]]))
    return panel


def fitted(text: str, letters: int) -> str:
    """The text, cut to a number of letters."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
