"""Jobs, workers, figures, health: what operators and dashboards read."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from world import World

from models_store import crew, jobs
from models_store.crew import Badge
from models_store.life import JobKind, Phase
from models_store.store import Store
from models_store.tables import Job

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def forget_job(world: World) -> Any:
    with world.store.read() as db:
        return db.query(Job).filter(Job.kind == JobKind.FORGET).one()


def test_a_job_shows_phase_percent_epoch_and_eta(door: TestClient, world: World) -> None:
    door.post("/forget-requests", json=DEER)
    claim, _ = world.begin(forget_job(world).id)
    progress = {"done": 30, "total": 120, "epoch": 1, "epochs": 4, "eta_seconds": 9.5}
    with world.store.begin() as db:
        jobs.beat(db, claim, world.store.settings, Phase.UNLEARNING, progress)

    answer = door.get(f"/jobs/{claim.job_id}")

    body = answer.json()
    assert (body["kind"], body["status"], body["phase"]) == ("forget", "running", "unlearning")
    assert body["progress"] == progress | {"percent": 25.0}
    assert (body["method"], body["base_version"], body["worker"]) == (
        "boundary_expanding", 1, "worker-1",
    )  # fmt: skip
    assert (body["attempt"], body["max_attempts"], body["request_count"]) == (1, 3, 1)
    assert body["attempts"][0]["worker"] == "worker-1"
    assert answer.headers["retry-after"] == "1"


def test_a_job_is_not_sent_twice(door: TestClient, world: World) -> None:
    door.post("/forget-requests", json=DEER)
    where = f"/jobs/{forget_job(world).id}"
    known = {"If-None-Match": door.get(where).headers["etag"]}

    unchanged = door.get(where, headers=known)
    claim, rung = world.begin(forget_job(world).id)
    world.publish(claim, rung)
    ended = door.get(where, headers=known)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (ended.status_code, ended.json()["status"]) == (200, "succeeded")
    assert "retry-after" not in ended.headers
    assert ended.json()["result"] == {"version": 2}


def test_jobs_are_filtered_and_cost_a_fixed_number_of_statements(
    door: TestClient, world: World, statements: Callable[[Callable[[], object]], int]
) -> None:
    door.post("/forget-requests", json=DEER)
    one = statements(lambda: door.get("/jobs?kind=forget&status=queued&model=zoo"))
    for lane in ("quality", "exact"):
        door.post("/forget-requests", json={**DEER, "lane": lane})

    three = statements(lambda: door.get("/jobs?kind=forget&status=queued&model=zoo"))

    assert one == three
    assert len(door.get("/jobs?kind=forget").json()["items"]) == 3
    assert [job["kind"] for job in door.get("/jobs?status=succeeded").json()["items"]] == ["import"]
    assert door.get("/jobs?status=lost").status_code == 422
    assert door.get("/jobs/01a1fc27-d6b8-7326-ac62-b41e9188a631").status_code == 404


def test_offers_carry_schema_and_traits(door: TestClient, world: World) -> None:
    methods = {offer["name"]: offer for offer in door.get("/methods").json()["items"]}

    assert methods["retrain"]["traits"] == {"exact": True, "needs": ["recipe"]}
    assert "epochs" in methods["l1_sparse"]["schema"]["properties"]
    assert door.get("/methods").json()["pruners"] == []
    assert [offer["name"] for offer in door.get("/nets").json()["items"]] == ["small_cnn"]
    assert door.get("/audits").json() == {"items": []}


def test_workers_are_shown_until_they_sign_out(door: TestClient, store: Store) -> None:
    badge = Badge("w-1", ["fast"], "cpu", "here", 7, {"torch": "2"})
    with store.begin() as db:
        crew.sign_in(db, badge)
    shown = door.get("/workers").json()["items"]
    counted = door.get("/stats").json()["workers"]
    with store.begin() as db:
        crew.sign_out(db, "w-1")

    assert (shown[0]["name"], shown[0]["queues"], shown[0]["device"]) == ("w-1", ["fast"], "cpu")
    assert counted == 1
    assert door.get("/workers").json() == {"items": []}


def test_a_worker_is_warming_until_it_has_measured_something(
    door: TestClient, store: Store
) -> None:
    badge = Badge("w-1", ["fast"], "cpu", "here", 7, {})
    rates = {"idle_bytes": 1, "audit": "unseen", "nets": {}}

    def state() -> str:
        return str(door.get("/workers").json()["items"][0]["state"])

    with store.begin() as db:
        crew.sign_in(db, badge)
    before = state()
    with store.begin() as db:
        crew.tell(db, "w-1", rates)
    warm, shown = state(), door.get("/workers").json()["items"][0]["rates"]
    with store.begin() as db:
        crew.sign_in(db, badge)  # its process was replaced

    assert (before, warm, state()) == ("warming", "ready", "warming")
    assert shown == rates


def test_the_figures_count_what_is_open(door: TestClient, world: World) -> None:
    door.post("/forget-requests", json=DEER)

    stats = door.get("/stats").json()

    assert stats["requests"]["queued"] == 1
    assert stats["jobs"] == {
        "queued": 1, "running": 0, "succeeded": 1, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    assert stats["waiting"] == {"fast": 1, "quality": 0, "exact": 0, "upkeep": 0}
    assert 0 <= stats["oldest_request_seconds"] < 60
    assert 0 <= stats["oldest_job_seconds"] < 60
    assert stats["next_due_at"] is not None
    assert (stats["overdue"], stats["unrung"], stats["workers"]) == (0, 1, 0)


def test_the_doctor_finds_bytes_without_an_owner(door: TestClient, world: World) -> None:
    before = door.get("/doctor").json()
    kept = world.store.blobs.put(b"nobody's")

    after = door.get("/doctor").json()

    assert before["orphans"] == []
    assert after["orphans"] == [f"{kept.digest[:2]}/{kept.digest}"]


# ---- health --------------------------------------------------------------------------------------


def test_liveness_asks_nobody(
    door: TestClient, statements: Callable[[Callable[[], object]], int]
) -> None:
    assert statements(lambda: door.get("/livez")) == 0
    assert door.get("/livez").json() == {"status": "alive"}


def test_it_is_ready_with_the_tables_it_was_written_for(door: TestClient, store: Store) -> None:
    ready = door.get("/readyz")
    with store.begin() as db:
        db.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    newer = door.get("/readyz")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "broker": True})
    assert newer.status_code == 503
    assert newer.json()["found"] == "9999"
    assert "lethe migrate" in newer.json()["detail"]


def test_metrics_label_routes_by_template(door: TestClient, world: World) -> None:
    door.get(f"/models/{world.model_id}/versions/1")
    door.get("/nowhere/at/all")
    door.put("/livez")

    text = door.get("/metrics").text

    assert (
        'lethe_http_requests_total{method="GET",route="/models/{model}/versions/{which}",'
        'status="200"} 1.0' in text
    )
    assert 'route="unknown",status="404"} 1.0' in text
    assert str(world.model_id) not in text
    assert 'lethe_jobs{status="succeeded"} 1.0' in text


def test_metrics_survive_without_a_database(app: FastAPI, door: TestClient, store: Store) -> None:
    store.engine.dispose()
    database = store.settings.home / "lethe.db"
    database.unlink()
    database.mkdir()

    answer = door.get("/metrics")

    assert answer.status_code == 200
    assert "lethe_jobs" not in answer.text


def test_the_dashboard_is_one_page_that_asks_only_us(door: TestClient) -> None:
    answer = door.get("/dashboard")

    assert answer.status_code == 200
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
