"""Panels: axes that hold, marks that stay in their frame, roles that can be told apart."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made import ABOUT, FACTS, FINDINGS, WEIGHED, judged, weighed

from workers.drawing import STYLES, Axis, Frame, Panel, fitted, swatch
from workers.page import figures
from workers.pictures import Figure
from workers.report import document

NUMBERS = st.floats(-1e6, 1e6)
TEMPLATE = Path(__file__).parents[2] / "workers" / "templates" / "audit.html.j2"


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(2, 8))
def test_an_axis_keeps_its_values_and_its_ticks_in_order_and_inside(
    low: float, high: float, value: float, ticks: int
) -> None:
    assume(high - low > 1e-3)
    axis = Axis(low, high, ticks=ticks)

    places = [place for place, _ in axis.marks()]

    assert 0 <= axis.at(value) <= 1
    assert (axis.at(low), axis.at(high)) == (0, 1)
    assert places == sorted(set(places))
    assert len(places) <= ticks + 1
    slack = 1e-6 * (high - low)
    assert all(low - slack <= place <= high + slack for place in places)


def test_a_logarithmic_axis_has_a_tick_for_each_power_of_ten() -> None:
    axis = Axis(1e-4, 1.0, share=True, log=True)

    assert [text for _, text in axis.marks()] == ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]
    assert [axis.at(10.0**power) for power in (-4, -2, 0)] == pytest.approx([0, 0.5, 1])
    assert axis.at(0.0) == 0


def test_ticks_say_no_more_digits_than_they_need() -> None:
    assert [text for _, text in Axis(0.0, 1.0, share=True).marks()][:2] == ["0 %", "20 %"]
    assert [text for _, text in Axis(-0.013, 0.02, share=True).marks()] == [
        "-1 %",
        "0 %",
        "1 %",
        "2 %",
    ]


@pytest.mark.parametrize("mark", ["round", "up", "box", "diamond"])
def test_a_mark_goes_round_its_point(mark: str) -> None:
    frame = Frame(Panel("p"), Axis(0.0, 1.0), Axis(0.0, 1.0))
    frame.dots("dot_after", [(0.5, 0.5)], mark, size=4)

    (around,) = frame.panel.paths[0].lines
    x, y = frame.at(0.5, 0.5)

    assert min(p[0] for p in around) < x < max(p[0] for p in around)
    assert min(p[1] for p in around) < y < max(p[1] for p in around)
    assert frame.panel.paths[0].d.endswith("Z")


def test_a_long_name_is_cut() -> None:
    assert fitted("horse", 5) == "horse"
    assert fitted("horse and rider", 7) == "horse…"


# ---- all pictures --------------------------------------------------------------------------------


@pytest.fixture(params=["screened", "weighed"])
def drawn(request: pytest.FixtureRequest) -> list[Figure]:
    judgement = judged(FINDINGS) if request.param == "screened" else weighed(WEIGHED)
    return list(figures(document(FACTS, judgement, ABOUT)))


def test_everything_lies_on_its_panel_and_has_a_role_that_is_drawn(drawn: list[Figure]) -> None:
    for panel in (panel for figure in drawn for panel in figure.panels):
        points = [point for path in panel.paths for line in path.lines for point in line]
        assert all(-6 <= x <= panel.width + 6 for x, _ in points)
        assert all(-6 <= y <= panel.height + 6 for _, y in points)
        assert {path.role for path in panel.paths} <= set(STYLES)
        assert all(0 <= word.y <= panel.height for word in panel.words)


def test_a_legend_names_what_is_drawn(drawn: list[Figure]) -> None:
    for figure in drawn:
        roles = {path.role for panel in figure.panels for path in panel.paths}
        assert set(figure.legend) <= roles
        assert all(swatch(role).paths for role in figure.legend)


def test_two_roles_of_a_legend_differ_in_more_than_colour(drawn: list[Figure]) -> None:
    def form(role: str) -> tuple[object, ...]:
        sample, style = swatch(role).paths[0], STYLES[role]
        shape = tuple((round(x), round(y)) for x, y in sample.lines[0])
        return shape, style.width, style.dash, style.fill

    for figure in drawn:
        assert all(form(a) != form(b) for a, b in combinations(figure.legend, 2))


@pytest.mark.parametrize("role", sorted(set(STYLES) - {"axis", "guide"}))
def test_a_role_stands_out_from_the_paper_in_light_and_dark(role: str) -> None:
    papers = re.search(r"--paper: light-dark\((#\w{6}), (#\w{6})\)", TEMPLATE.read_text())
    assert papers is not None

    assert contrast(STYLES[role].light, papers[1]) >= 3
    assert contrast(STYLES[role].dark, papers[2]) >= 3


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: 3 is asked of graphics."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
