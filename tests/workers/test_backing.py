"""What a certificate changes in a verdict, and what it cannot."""

from dataclasses import replace

import drawn
import pytest
from drawn import Law
from made import HELD

from workers import wording
from workers.evidence import Evidence, Judgement, Verdict
from workers.verdicts import judge

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
FEW = 30


def few(law: Law) -> Evidence:
    """So few images are forgotten that no attack has any power."""
    whole = drawn.evidence(law)
    rows = whole.parts["forget"][:FEW]
    parts = {**whole.parts, "forget": rows}
    return replace(whole, parts=parts, requested=rows, removed=rows)


@pytest.fixture(scope="module")
def quiet() -> Evidence:
    return few(Law())


def leaning(evidence: Evidence, tier: int = 1) -> Judgement:
    return judge(evidence, tier=tier, certificate=HELD, accept_certificate=True)


def test_images_too_few_for_a_test_pass_on_a_certificate_and_the_report_says_so(
    quiet: Evidence,
) -> None:
    judgement = leaning(quiet)

    assert (judgement.verdict, judgement.leans, judgement.tiers[1]) == (PASS, True, OPEN)
    line, said = wording.first_line("samples", judgement), wording.statement("samples", judgement)
    assert line.startswith("Passed with certificate: too few images")
    assert said.startswith("30 images are too few for a statistical test of this request.")
    assert "smallest adjusted p = " in said
    assert "certificate of 2026-11-01" in said


def test_without_leave_or_without_a_certificate_they_stay_open(quiet: Evidence) -> None:
    assert judge(quiet, tier=1, certificate=HELD).verdict is OPEN
    assert judge(quiet, tier=1, accept_certificate=True).verdict is OPEN
    assert leaning(replace(quiet, references=None)).verdict is OPEN


def test_a_trace_that_shows_in_few_images_is_not_covered() -> None:
    judgement = leaning(few(Law(after=4.0)))

    assert judgement.verdict is FAIL
    assert not judgement.leans


def test_images_that_are_enough_are_judged_by_themselves() -> None:
    clean, leaking = leaning(drawn.evidence(Law())), leaning(drawn.evidence(Law(after=0.5)))

    assert (clean.verdict, clean.leans) == (PASS, False)
    assert leaking.verdict is FAIL


def test_whoever_asks_for_a_certificate_is_content_with_one() -> None:
    clean = drawn.evidence(Law())

    held = judge(clean, tier=1, certificate=HELD, require_certificate=True)

    assert (held.verdict, held.certified) == (PASS, True)
    assert judge(clean, tier=1, require_certificate=True).verdict is OPEN
