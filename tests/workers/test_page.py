"""The page that people read: whole, self-contained, and in numbers as people write them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from made import ABOUT, FACTS, FINDINGS, WEIGHED, judged, weighed

from workers.page import figures, render, shown
from workers.report import Document, document


@pytest.fixture
def report() -> Document:
    return document(FACTS, judged(FINDINGS), ABOUT)


class Tags(HTMLParser):
    """Checks that tags close in order, and collects them with their attributes."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}
        ]
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    page = render(document(FACTS, weighed(WEIGHED), ABOUT))

    tags = read(page)

    assert tags.open == []
    assert tags.links == []
    assert "script" not in tags.seen
    assert not re.search(r"https?://|@import|url\(", page)


def test_every_panel_of_every_picture_is_drawn_and_named() -> None:
    report = document(FACTS, weighed(WEIGHED), ABOUT)

    tags = read(render(report))

    named = [f"{f.title}, {panel.title}" for f in figures(report) for panel in f.panels]
    assert sorted(tags.labels) == sorted(named)
    assert len({title.partition(",")[0] for title in named}) == 13


def test_without_references_there_are_no_pictures_that_need_them(report: Document) -> None:
    assert [figure.title for figure in figures(report)] == [
        "All checks at a glance",
        "Class by class",
        "What the forgotten images are taken for",
        "How sure is the model?",
        "How well does it know the true label?",
    ]


def test_the_page_opens_with_the_verdict_and_shows_gates_and_both_sides(report: Document) -> None:
    page = render(report)

    first = page.index("Passed, checked for obvious failures only.")
    assert first < page.index("There is no certificate") < page.index("The checks")
    assert "✓ pass" in page
    assert "forgetting · D_f" in page
    assert "0.4 %" in page
    assert "0.1 % to 2.0 %" in page
    assert "boundary shrink" in page


def test_controls_are_shown_where_there_are_any(report: Document) -> None:
    page = render(document(FACTS, weighed(WEIGHED, as_expected=False), ABOUT))

    assert "Does the audit work here?" not in render(report)
    assert "Does the audit work here?" in page
    assert "✕ not as expected" in page


def test_failures_come_before_what_passed() -> None:
    failing = replace(FINDINGS[1], test="z.last", verdict="fail", reason="No.")

    page = render(document(FACTS, judged([*FINDINGS, failing]), ABOUT))

    assert page.index("z · last") < page.index('<span class="name">integrity')


def test_names_that_users_give_are_text_and_not_markup(report: Document) -> None:
    page = render(report)

    assert "<b>dog" not in page
    assert "&lt;b&gt;dog" in page


def test_a_page_can_be_made_of_next_to_nothing() -> None:
    nothing = replace(
        FACTS, goal="none", class_names=[], forgotten_classes=[], sizes={}, nonmembers="none"
    )

    page = render(document(nothing, judged([]), {}))

    assert read(page).open == []
    assert "Baseline" in page


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
