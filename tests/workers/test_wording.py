"""Words: a report says what was measured, what was not, and nothing that it cannot hold."""

import re
from dataclasses import replace
from itertools import product

import pytest
from made import AREA, FACTS, FINDINGS, HELD, WEIGHED, judged, weighed

from workers import page, verdicts, wording
from workers.evidence import Finding, Judgement, Verdict
from workers.report import document

FORBIDDEN = (
    "proven",
    "proves",
    "guaranteed?",
    "guarantees",
    "(fully|completely|irrevocably) (deleted|erased|forgotten|removed)",
    "gdpr.compliant",
    "compliant",
    "anonymous",
    "anonymi[sz]ed",
    "(zero|no) risk",
    "risk.free",
    "certain(ly)?",
    "impossible",
    "safe",
    "100 % (forgotten|erased|deleted)",
)
"""Words that promise more than any audit can hold."""

FAILED = Finding(
    test="right_set", estimate=0.5, gate="The sets agree.", verdict=Verdict.FAIL, reason="No."
)
OPEN = replace(FAILED, verdict=Verdict.INCONCLUSIVE)
EXTRAS: list[list[Finding]] = [[], [FAILED], [OPEN]]


def judgements() -> list[Judgement]:
    """Every tier with every verdict."""
    screened = [judged([*FINDINGS, *extra]) for extra in EXTRAS]
    against = [weighed([*WEIGHED, *extra]) for extra in EXTRAS]
    held = [replace(each, certificate=HELD) for each in against]
    leaning = replace(weighed(WEIGHED), certificate=HELD, leans=True)
    return [*screened, *against, *held, leaning, weighed(WEIGHED, as_expected=False)]


def too_much(text: str) -> list[str]:
    return [word for word in FORBIDDEN if re.search(rf"\b{word}\b", text.lower())]


@pytest.mark.parametrize("sentence", wording.sentences())
def test_no_sentence_promises_more_than_was_measured(sentence: str) -> None:
    assert too_much(sentence) == []


@pytest.mark.parametrize(
    ("judgement", "goal"), list(product(judgements(), ["class", "samples", "none"]))
)
def test_no_report_promises_more_than_was_measured(judgement: Judgement, goal: str) -> None:
    report = document(replace(FACTS, goal=goal), judgement, verdicts.about())

    assert too_much(page.render(report)) == []
    assert "{" not in report["statement"]["dpo"]


def test_the_search_for_big_words_finds_them() -> None:
    assert too_much("Erasure is proven.") == ["proven"]
    assert too_much("They were fully deleted.") != []
    assert too_much("GDPR-compliant") != []


@pytest.mark.parametrize("judgement", judgements())
def test_the_first_line_says_which_certificate_the_method_holds_or_that_there_is_none(
    judgement: Judgement,
) -> None:
    line = wording.first_line("class", replace(judgement, certificate=None))

    assert line.endswith("There is no certificate for the method that was used.")
    assert "certificate of 2026-11-01." in wording.first_line(
        "class", replace(judgement, certificate=HELD)
    )
    assert "no certificate" not in wording.first_line("class", replace(judgement, certificate=HELD))


def test_a_pass_says_what_the_certificate_showed_and_nothing_else_does() -> None:
    passed, failed = (
        wording.statement("samples", replace(weighed(found), certificate=HELD))
        for found in (WEIGHED, [*WEIGHED, FAILED])
    )

    assert "tried on 12 models like this one, 500 images at a time" in passed
    assert "an area of 0.503, at most 0.531" in passed
    assert "epsilon at least 0.02 (before forgetting: at least 4.10)" in passed
    assert "tried on" not in failed


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_screening_concludes_nothing_on_erasure(extra: list[Finding]) -> None:
    said = wording.statement("class", judged([*FINDINGS, *extra]))

    assert "checked for obvious failures" in said
    assert "No conclusion on erasure can be drawn." in said
    assert all(finding.test in said for finding in extra)


def test_a_pass_against_references_says_how_well_the_attack_did_and_what_remains() -> None:
    said = wording.statement("samples", weighed(WEIGHED))

    assert "On 600 forgotten images" in said
    assert "0.503" in said
    assert "0.478 to 0.528" in said
    assert "see the forgotten images in the old model" in said
    assert "cannot be ruled out" in said


def test_controls_that_go_astray_leave_no_conclusion() -> None:
    judgement = weighed(WEIGHED, as_expected=False)

    assert wording.template("class", judgement) == "tier1-inconclusive"
    assert "No conclusion on erasure can be drawn." in wording.statement("class", judgement)


@pytest.mark.parametrize("goal", ["class", "none"])
@pytest.mark.parametrize("judgement", judgements())
def test_every_verdict_has_its_statement(judgement: Judgement, goal: str) -> None:
    assert wording.template(goal, judgement) in wording.STATEMENTS


def test_images_that_served_an_earlier_audit_are_said_to_have() -> None:
    fresh = {"number": 2, "of": 3, "reused": False}

    (said,) = wording.worn(fresh | {"reused": True})

    assert "earlier audit of the same requests" in said
    assert wording.worn(fresh) == wording.worn(None) == []


def test_what_could_not_have_been_seen_is_said_once() -> None:
    sharper = replace(AREA, details={"detectable": 0.53})

    screened = wording.limits("test", judged(FINDINGS))
    against = wording.limits("holdout", weighed([*FINDINGS, sharper]))

    assert any("0.56" in limit for limit in screened)
    assert any("test split" in limit for limit in screened)
    assert [limit for limit in against if "would most likely go unseen" in limit] == [
        (
            "With 600 forgotten images, a membership signal weaker than an area of about 0.53 would "
            "most likely go unseen."
        )
    ]
