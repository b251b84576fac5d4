"""Pictures for the pages: panels as a self-contained SVG on white, in the colours of the report."""

from collections.abc import Mapping, Sequence
from math import ceil
from xml.sax.saxutils import escape

from workers.drawing import HOLLOW, STYLES, Panel, Path, Words, swatch

MARGIN, GAP, HEAD = 12.0, 18.0, 20.0
"""Around the picture, between panels, and for a panel's title."""
LETTER, LINE = 6.4, 18.0
"""About the width of a letter, and the height of a line of the legend."""


def svg(panels: Sequence[Panel], columns: int, legend: Mapping[str, str] | None = None) -> str:
    """Panels in lines of so many, each under its title; role -> meaning stands below."""
    wide = max(panel.width for panel in panels)
    high = max(panel.height for panel in panels) + HEAD
    width = MARGIN + columns * (wide + GAP)
    below = MARGIN + ceil(len(panels) / columns) * (high + GAP)
    parts = []
    for place, panel in enumerate(panels):
        left = MARGIN + place % columns * (wide + GAP)
        top = MARGIN + place // columns * (high + GAP)
        title = Words(panel.title, 0, 10, "start", strong=True)
        parts.append(_moved(left, top, _word(title)))
        parts.append(_moved(left, top + HEAD, _drawn(panel)))
    named, height = _legend(legend or {}, width, below)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="DejaVu Sans, sans-serif" '
        f'font-size="11.5"><rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join([*parts, *named])
        + "\n</svg>\n"
    )


def _legend(legend: Mapping[str, str], width: float, top: float) -> tuple[list[str], float]:
    parts, left = list[str](), MARGIN
    for role, words in legend.items():
        taken = 34 + LETTER * len(words) + GAP
        if left > MARGIN and left + taken > width:
            left, top = MARGIN, top + LINE
        parts.append(_moved(left, top, _drawn(swatch(role)) + _word(Words(words, 34, 10, "start"))))
        left += taken
    return parts, top + (LINE if legend else 0.0) + MARGIN


def _moved(x: float, y: float, inside: str) -> str:
    return f'<g transform="translate({x:.1f} {y:.1f})">{inside}</g>'


def _drawn(panel: Panel) -> str:
    return "".join([*map(_path, panel.paths), *map(_word, panel.words)])


def _path(path: Path) -> str:
    style = STYLES[path.role]
    fill = "#fff" if path.role in HOLLOW else style.light if style.fill else "none"
    looks = {"d": path.d, "fill": fill, "stroke-linejoin": "round"}
    if style.fill:
        looks["fill-opacity"] = f"{style.fill}"
    if style.width:
        looks |= {"stroke": style.light, "stroke-width": f"{style.width}"}
    if style.dash:
        looks["stroke-dasharray"] = " ".join(map(str, style.dash))
    if path.opacity < 1:
        looks["opacity"] = f"{path.opacity:.2f}"
    return "<path " + " ".join(f'{name}="{value}"' for name, value in looks.items()) + "/>"


def _word(word: Words) -> str:
    strong = ' font-weight="bold"' if word.strong else ""
    return (
        f'<text x="{word.x:.1f}" y="{word.y:.1f}" text-anchor="{word.anchor}" fill="#1b1f24"{strong}>'
        f"{escape(word.text)}</text>"
    )
