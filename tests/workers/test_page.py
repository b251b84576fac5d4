"""The page that people read: whole, self-contained, and in numbers as people write them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import ABOUT, FACTS, FINDINGS, judged

from workers.page import shown
from workers.pictures import HEIGHT, outline
from workers.report import Document, document, html


@pytest.fixture
def report() -> Document:
    return document(FACTS, judged(FINDINGS), ABOUT)


class Tags(HTMLParser):
    """Checks that tags close in order, and collects them with their attributes."""

    VOID = frozenset({"meta", "br", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(report: Document) -> None:
    page = html(report)
    tags = Tags()

    tags.feed(page)

    assert tags.open == []
    assert tags.links == []
    assert "script" not in tags.seen
    assert not re.search(r"https?://|@import|url\(", page)
    assert tags.seen.count("svg") == 2 * 2 + 4  # two signals before and after, and the legend


def test_the_page_shows_verdict_gates_and_both_sides(report: Document) -> None:
    page = html(report)

    assert "✓ pass" in page
    assert "forgetting · D_f" in page
    assert "0.4 %" in page
    assert "0.1 % to 2.0 %" in page
    assert "boundary shrink" in page


def test_names_that_users_give_are_text_and_not_markup(report: Document) -> None:
    page = html(report)

    assert "<b>dog" not in page
    assert "&lt;b&gt;dog" in page


def test_a_page_can_be_made_of_next_to_nothing() -> None:
    nothing = replace(FACTS, goal="none", class_names=[], forgotten_classes=[], sizes={})

    tags = Tags()
    tags.feed(html(document(nothing, judged([]), {})))

    assert tags.open == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "share", "–"),
        (0.4567, "share", "45.7 %"),
        (-0.012, "points", "-1.2 pt"),
        (0.5031, "", "0.503"),
        (0.0, "", "0.000"),
        (0.00012, "", "1.2e-04"),
        (2.0**30, "bytes", "1,024 MiB"),
        (12.345, "s", "12.3 s"),
        (1234.5, "per s", "1,234 per s"),
    ],
)
def test_numbers_are_written_as_people_write_them(
    value: float | None, unit: str, text: str
) -> None:
    assert shown(value, unit) == text


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_outline_starts_and_ends_on_the_ground_and_stays_in_its_frame(bars: list[float]) -> None:
    path = outline(bars, peak=1.0)

    heights = [float(y) for y in re.findall(r"V([-\d.]+)", path)]
    assert path.startswith(f"M0 {HEIGHT:.1f}")
    assert path.endswith(f"V{HEIGHT:.1f}")
    assert all(0 <= y <= HEIGHT for y in heights)
