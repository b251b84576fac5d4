"""What people decide about a request."""

from typing import Any
from uuid import UUID

from fastapi.testclient import TestClient
from world import World

from models_store import registry
from models_store.life import JobStatus
from models_store.targets import Target

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def of_samples(*ids: str, **more: Any) -> dict[str, Any]:
    return {"model": "zoo", "target": {"kind": "samples", "sample_ids": list(ids)}, **more}


def test_a_queued_request_is_cancelled_at_once(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]

    answer = door.post(f"{where}/cancel")
    again = door.post(f"{where}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/invalid-transition")


def test_one_that_waits_for_another_attempt_leaves_no_checkpoint_when_it_is_cancelled(
    door: TestClient, world: World
) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    checkpoint = world.paused(UUID(door.get(where).json()["job"]))
    there = world.store.blobs.path(checkpoint).exists()

    answer = door.post(f"{where}/cancel")

    assert (there, answer.json()["status"]) == (True, "cancelled")
    assert not world.store.blobs.path(checkpoint).exists()


def test_cancelling_a_running_request_is_accepted(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    world.begin(UUID(door.get(where).json()["job"]))

    answer = door.post(f"{where}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (202, "running")


def test_approval_queues_and_denial_gives_its_reason(door: TestClient, world: World) -> None:
    door.put("/models/zoo/policy", json={"require_approval": True})
    first, second = (
        door.post("/forget-requests", json=of_samples(f"train/cat/0{i}")) for i in (1, 2)
    )
    denial = {"reason": "identity_not_verified", "detail": "The passport had expired."}

    approved = door.post(f"{first.headers['location']}/approve")
    denied = door.post(f"{second.headers['location']}/deny", json=denial)

    assert first.json()["status"] == "awaiting_approval"
    assert set(first.json()["next_actions"]) == {"cancel", "approve", "deny", "extend"}
    assert first.headers["retry-after"] == "60"
    assert (approved.status_code, approved.json()["status"]) == (200, "queued")
    assert (denied.status_code, denied.json()["status"]) == (200, "denied")
    assert denied.json()["decision"] == {"denied_by": "local", **denial}
    assert door.post(f"{second.headers['location']}/approve").status_code == 409
    assert door.post(f"{second.headers['location']}/deny", json={}).status_code == 422


def test_a_due_date_is_put_off_once(door: TestClient, world: World) -> None:
    first = door.post("/forget-requests", json=DEER)
    where = first.headers["location"]

    put_off = door.post(f"{where}/extend", json={"reason": "many requests at once"})
    again = door.post(f"{where}/extend", json={"reason": "more"})

    assert put_off.status_code == 200
    assert put_off.json()["due_at"] > first.json()["due_at"]
    assert "extend" not in put_off.json()["next_actions"]
    assert again.status_code == 409
    assert door.post(f"{where}/extend", json={"reason": ""}).status_code == 422


def test_a_failed_request_is_retried(door: TestClient, world: World) -> None:
    door.put("/models/zoo/policy", json={"last_rung": "fast"})
    where = door.post("/forget-requests", json=DEER).headers["location"]
    claim, rung = world.begin(UUID(door.get(where).json()["job"]))
    world.publish(claim, rung, verdict="fail")
    failed = door.get(where).json()

    retried = door.post(f"{where}/retry")

    assert failed["status"] == "failed"
    assert failed["failure"]["code"] == "audit_failed"
    assert "retry" in failed["next_actions"]
    assert (retried.status_code, retried.json()["status"]) == (202, "queued")
    assert retried.json()["failure"] is None
    assert door.post(f"{where}/retry").status_code == 409


def test_the_actions_of_somebody_else_are_not_found(door: TestClient, world: World) -> None:
    request = world.ask(Target("class", label="deer"), owner="somebody")

    answers = [door.post(f"/forget-requests/{request.id}/{act}") for act in ("cancel", "retry")]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_a_job_is_left_alone_when_its_last_request_leaves(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    job = door.get(where).json()["job"]

    door.post(f"{where}/cancel")

    assert door.get(f"/jobs/{job}").json()["status"] == JobStatus.CANCELLED
    with world.store.read() as db:
        assert registry.get(db, "zoo").id == world.model_id
