"""The document: verdict, wording, and nothing that a report must not hold."""

import json
import re
from dataclasses import replace

import pytest
import torch
from made import ABOUT, FACTS, FINDINGS, judged

from workers.evidence import Finding, Scores, Verdict
from workers.report import (
    Document,
    document,
    html,
    manifest,
    request_slice,
)
from workers.verdicts import headline

FORBIDDEN = (
    "proven",
    "guaranteed",
    "fully deleted",
    "gdpr-compliant",
    "anonymous",
    "zero risk",
)

FAILED = Finding(
    test="right_set", estimate=0.5, gate="The sets agree.", verdict=Verdict.FAIL, reason="No."
)
OPEN = replace(FAILED, verdict=Verdict.INCONCLUSIVE)


@pytest.fixture
def report() -> Document:
    return document(FACTS, judged(FINDINGS), ABOUT)


# ---- verdict -----------------------------------------------------------------------------------


def test_all_gates_passed_is_a_pass() -> None:
    assert headline(FINDINGS) is Verdict.PASS


def test_any_failure_fails_whatever_else() -> None:
    assert headline([*FINDINGS, OPEN, FAILED]) is Verdict.FAIL


def test_an_open_gate_leaves_the_verdict_open() -> None:
    assert headline([*FINDINGS, OPEN]) is Verdict.INCONCLUSIVE


def test_no_gate_is_no_pass() -> None:
    assert headline(FINDINGS[2:]) is Verdict.INCONCLUSIVE


# ---- document ----------------------------------------------------------------------------------


def test_the_document_is_plain_json_with_one_entry_a_finding(report: Document) -> None:
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["schema"] == "lethe-audit/1"
    assert (report["verdict"], report["assurance"]) == ("pass", "tier0")
    assert [test["test"] for test in report["tests"]] == [f.test for f in FINDINGS]
    assert report["cost"] == {"rte_seconds": 12.5}


def test_a_number_that_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        document(FACTS, judged([replace(FINDINGS[0], estimate=float("nan"))]), ABOUT)


@pytest.mark.parametrize("extra", [[], [FAILED], [OPEN]])
@pytest.mark.parametrize("goal", ["class", "samples", "none"])
def test_the_first_tier_concludes_nothing_on_erasure(extra: list[Finding], goal: str) -> None:
    report = document(replace(FACTS, goal=goal), judged([*FINDINGS, *extra]), ABOUT)

    if goal != "none":
        assert "checked for obvious failures" in report["statement"]
        assert "No conclusion on erasure can be drawn." in report["statement"]
    for finding in extra if goal != "none" else []:
        assert finding.test in report["statement"]
    words = html(report).lower()
    assert not [word for word in FORBIDDEN if re.search(rf"\b{word}\b", words)]


def test_what_could_not_have_been_seen_is_said(report: Document) -> None:
    assert any("0.56" in limit for limit in report["limits"])
    assert any("test split" in limit for limit in report["limits"])


# ---- people ------------------------------------------------------------------------------------


def test_a_manifest_is_the_same_for_the_same_set_and_hides_it() -> None:
    ids = ["deer/2", "deer/1", "deer/1"]

    assert manifest(ids, b"salt") == manifest(["deer/1", "deer/2"], b"salt")
    assert manifest(ids, b"salt") != manifest(ids, b"pepper")
    assert manifest(["ab", "c"], b"salt") != manifest(["a", "bc"], b"salt")


def test_a_slice_is_the_accuracy_on_one_request_s_rows() -> None:
    def scores(right: list[bool]) -> Scores:
        logits = torch.tensor([[1.0, 0.0] if hit else [0.0, 1.0] for hit in right])
        n = len(right)
        return Scores(
            rows=torch.arange(n) * 10,
            logits=logits,
            features=torch.zeros(n, 1, dtype=torch.float16),
            labels=torch.zeros(n, dtype=torch.int64),
        )

    before, after = scores([True, True, True]), scores([True, False, False])

    found = request_slice(before, after, torch.tensor([0, 20]))

    assert (found["n"], found["before"], found["after"]) == (2, 1.0, 0.5)
    assert request_slice(before, after, torch.zeros(0, dtype=torch.int64))["after"] is None
