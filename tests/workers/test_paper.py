"""The report on paper: whole, the same each time, and in letters that its fonts have."""

import logging
import re
from dataclasses import replace

import pytest
from made import ABOUT, FACTS, FINDINGS, WEIGHED, judged, weighed

from workers.paper import render
from workers.report import Document, document


@pytest.fixture
def report() -> Document:
    return document(FACTS, weighed(WEIGHED), ABOUT)


def pages(paper: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", paper))


def test_the_same_report_gives_the_same_bytes(report: Document) -> None:
    once = render(report)

    assert once.startswith(b"%PDF-")
    assert once.rstrip().endswith(b"%%EOF")
    assert render(report) == once
    assert pages(once) > pages(render(document(FACTS, judged(FINDINGS), ABOUT))) > 1


def test_all_that_we_say_has_letters(report: Document, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        render(report)

    assert not caplog.records


def test_a_name_in_letters_that_it_lacks_stops_nothing() -> None:
    facts = replace(FACTS, class_names=["猫", "鹿", "犬"], model="动物")

    assert pages(render(document(facts, weighed(WEIGHED), ABOUT))) > 1


def test_a_baseline_fits_on_paper_too() -> None:
    nothing = replace(
        FACTS, goal="none", class_names=[], forgotten_classes=[], sizes={}, nonmembers="none"
    )

    assert pages(render(document(nothing, judged([]), {}))) == 1
