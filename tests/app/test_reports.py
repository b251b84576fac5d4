"""Audit reports and the chain of events, as the door gives them out."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from world import World, report

from models_store import audits, jobs
from models_store.audits import Report
from models_store.life import JobKind, Queue
from models_store.tables import Blob

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


@pytest.fixture
def reported(world: World) -> World:
    """Version 1 has a report with a page."""
    kept = world.store.blobs.put(b"<!doctype html><p>fine</p>")
    page = Blob(digest=kept.digest, size=kept.size, media_type="text/html")
    plain = report()
    full = Report(
        tier=0, verdict="pass", assurance="tier0", document=plain.document, tests=plain.tests,
        pages={"text/html": page},
    )  # fmt: skip
    with world.store.begin() as db:
        job = jobs.open_job(db, JobKind.AUDIT, Queue.UPKEEP, model_id=world.model_id)
        audits.add(db, world.model_id, 1, job.id, full)
    return world


def test_a_report_is_json_or_a_page(door: TestClient, reported: World) -> None:
    plain = door.get("/models/zoo/audit")
    page = door.get("/models/zoo/audit?version=1", headers={"Accept": "text/html,*/*;q=0.5"})
    pdf = door.get("/models/zoo/audit", headers={"Accept": "application/pdf"})

    assert (plain.status_code, plain.json()) == (200, {"verdict": "pass"})
    assert (page.status_code, page.text) == (200, "<!doctype html><p>fine</p>")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (pdf.status_code, pdf.json()["type"]) == (406, "/problems/not-acceptable")
    assert pdf.json()["available"] == ["application/json", "text/html"]


def test_a_report_on_paper_is_handed_out_as_it_was_made(door: TestClient, reported: World) -> None:
    with reported.store.begin() as db:
        kept = reported.store.blobs.put(b"%PDF-1.7 fine")
        paper = Blob(digest=kept.digest, size=kept.size, media_type="application/pdf")
        job = jobs.open_job(db, JobKind.AUDIT, Queue.UPKEEP, model_id=reported.model_id)
        printed = replace(report(), pages={"application/pdf": paper})
        audits.add(db, reported.model_id, 1, job.id, printed)

    answer = door.get("/models/zoo/audit", headers={"Accept": "application/pdf"})

    assert (answer.status_code, answer.content) == (200, b"%PDF-1.7 fine")
    assert answer.headers["content-type"] == "application/pdf"


def test_a_report_is_described_field_by_field(door: TestClient) -> None:
    described = door.get("/openapi.json").json()

    answer = described["paths"]["/models/{model}/audit"]["get"]["responses"]["200"]["content"]
    shape = described["components"]["schemas"]["AuditReportOut"]
    assert answer["application/json"]["schema"]["$ref"].endswith("/AuditReportOut")
    assert set(answer) == {"application/json", "text/html", "application/pdf"}
    assert shape["properties"]["schema"]["const"] == "lethe-audit/1"
    assert {"headline", "statement", "controls", "tests"} <= set(shape["required"])


def test_a_report_is_not_sent_twice(door: TestClient, reported: World) -> None:
    first = door.get("/models/zoo/audit")
    page = door.get("/models/zoo/audit", headers={"Accept": "text/html"})

    again = door.get("/models/zoo/audit", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert page.headers["etag"] != first.headers["etag"]
    assert first.headers["vary"] == "Accept"


def test_a_version_without_a_report_has_none(door: TestClient, world: World) -> None:
    assert door.get("/models/zoo/audit").status_code == 404
    assert door.get("/models/zoo/audit?version=7").status_code == 404


def test_the_chain_of_a_model_is_verified(door: TestClient, world: World) -> None:
    door.post("/forget-requests", json=DEER)
    whole = door.get("/models/zoo/audit/verify").json()
    told = door.get("/models/zoo/events?page_size=1").json()
    rest = door.get("/models/zoo/events", params={"page_token": told["next_page_token"]}).json()

    with world.store.begin() as db:
        db.execute(text("DROP TRIGGER events_no_update"))
        db.execute(text("UPDATE events SET actor = 'nobody' WHERE seq = :seq"),
                   {"seq": rest["items"][-1]["seq"]})  # fmt: skip
    tampered = door.get("/models/zoo/audit/verify").json()

    events = told["items"] + rest["items"]
    assert whole == {"valid": True, "length": len(events), "head": events[-1]["hash"],
                     "first_bad": None}  # fmt: skip
    assert [event["type"] for event in events] == [
        "model.registered", "request.accepted", "request.queued",
    ]  # fmt: skip
    assert tampered["valid"] is False
    assert tampered["first_bad"] == events[-1]["seq"]
