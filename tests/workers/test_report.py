"""The document: verdict, wording, and nothing that a report must not hold."""

import json
from dataclasses import replace

import pytest
import torch
from made import ABOUT, FACTS, FINDINGS, WEIGHED, judged, weighed

from app.routes.report_shape import AuditReportOut
from workers import page
from workers.evidence import Finding, Judgement, Scores, Verdict
from workers.report import Document, document, manifest, pages, request_slice
from workers.verdicts import headline

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


@pytest.mark.parametrize("judgement", [judged(FINDINGS), weighed(WEIGHED)])
def test_the_api_describes_the_document_as_it_is(judgement: Judgement) -> None:
    slices = {"01a1": {"n": 1, "before": 1.0, "after": 0.0, "low": 0.0, "high": 0.9}}
    whole = {**document(FACTS, judgement, ABOUT), "requests": slices}

    described = AuditReportOut.model_validate_json(json.dumps(whole))

    assert json.loads(described.model_dump_json(by_alias=True)) == whole


def test_a_number_that_json_has_no_word_for_is_refused() -> None:
    findings = [replace(FINDINGS[0], estimate=float("nan"))]

    with pytest.raises(ValueError, match="JSON"):
        document(FACTS, judged(findings), ABOUT)


def test_the_report_comes_as_a_page_and_on_paper(report: Document) -> None:
    made = pages(report)

    assert set(made) == {"text/html", "application/pdf"}
    assert made["text/html"].startswith(b"<!doctype html>")
    assert made["application/pdf"].startswith(b"%PDF-")


def test_who_stands_for_never_trained_images_is_said() -> None:
    facts = replace(FACTS, nonmembers="holdout", sizes={"nonmembers": 700})

    held, tested = (document(each, judged(FINDINGS), ABOUT) for each in (facts, FACTS))

    assert held["data"]["nonmembers"]["kind"] == "holdout"
    assert held["data"]["nonmembers"]["n"] == 700
    assert "the hold-out" in page.render(held)
    assert "the test split, since no hold-out was reserved" in page.render(tested)


# ---- people ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("goal", "said"), [("class", 0), ("samples", 1), ("none", 0)])
def test_a_method_outside_of_its_design_is_a_limit(goal: str, said: int) -> None:
    after = replace(FACTS.after, designed_for=["class"])

    report = document(replace(FACTS, goal=goal, after=after), judged(FINDINGS), ABOUT)

    assert sum("outside of its design" in limit for limit in report["statement"]["limits"]) == said
    assert report["models"]["after"]["designed_for"] == ["class"]


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
