"""What happened to a request: events as JSON and as a stream, and the certificate at its end."""

import json
from typing import Any

from fastapi.testclient import TestClient
from world import World

from models_store.life import JobKind
from models_store.tables import Job

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}
STREAM = {"Accept": "text/event-stream"}


def carried_out(door: TestClient, world: World, verdict: str = "pass") -> str:
    """A class request whose job has ended; where it is."""
    where = door.post("/forget-requests", json=DEER).headers["location"]
    with world.store.read() as db:
        (job,) = db.query(Job).filter(Job.kind == JobKind.FORGET)
    world.publish(*world.begin(job.id), verdict=verdict)
    return str(where)


def told(text: str) -> list[dict[str, str]]:
    """The events of a stream, by field."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_events_tell_the_life_of_a_request_in_order(door: TestClient, world: World) -> None:
    where = carried_out(door, world)

    items = door.get(f"{where}/events").json()["items"]

    assert [event["type"] for event in items] == [
        "request.accepted", "request.queued", "request.running", "request.succeeded",
    ]  # fmt: skip
    assert items[0]["actor"] == "local"
    assert items[0]["facts"]["count"] == 8
    assert items[-1]["facts"]["version"] == 2
    assert [event["seq"] for event in items] == sorted(event["seq"] for event in items)


def test_a_stream_tells_the_same_and_ends_with_the_request(door: TestClient, world: World) -> None:
    where = carried_out(door, world)
    items = door.get(f"{where}/events").json()["items"]

    answer = door.get(f"{where}/events", headers=STREAM)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    first, *events = told(answer.text)
    assert first == {"retry": "1000"}
    assert [json.loads(event["data"]) for event in events] == items
    assert [int(event["id"]) for event in events] == [event["seq"] for event in items]
    assert [event["event"] for event in events] == [event["type"] for event in items]


def test_a_stream_goes_on_after_the_last_event_that_was_heard(
    door: TestClient, world: World
) -> None:
    where = carried_out(door, world)
    heard = [event["seq"] for event in door.get(f"{where}/events").json()["items"]]

    rest = door.get(f"{where}/events", headers=STREAM | {"Last-Event-ID": str(heard[1])})
    nothing = door.get(f"{where}/events", headers=STREAM | {"Last-Event-ID": str(heard[-1])})

    assert [int(event["id"]) for event in told(rest.text)[1:]] == heard[2:]
    assert (nothing.status_code, nothing.content) == (204, b"")
    bad = door.get(f"{where}/events", headers=STREAM | {"Last-Event-ID": "last"})
    assert bad.status_code == 422


def test_events_come_in_no_other_form(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]

    answer = door.get(f"{where}/events", headers={"Accept": "text/html"})

    assert answer.status_code == 406


def test_a_certificate_ties_the_result_to_the_chain(door: TestClient, world: World) -> None:
    where = carried_out(door, world)

    body: dict[str, Any] = door.get(f"{where}/certificate").json()

    assert (body["status"], body["model_name"], body["target_count"]) == ("succeeded", "zoo", 8)
    assert body["proof"]["version"] == 2
    assert (body["proof"]["verdict"], body["proof"]["assurance"]) == ("pass", "tier0")
    assert body["proof"]["digest"] == door.get("/models/zoo/versions/2").json()["digest"]
    assert body["events"][-1]["type"] == "request.succeeded"
    assert body["chain_head"] == door.get("/models/zoo/audit/verify").json()["head"]


def test_there_is_no_certificate_before_the_end(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]

    answer = door.get(f"{where}/certificate")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-finished")
    assert answer.json()["status"] == 409  # the request's own status cannot pose as it


def test_a_withdrawn_request_has_a_certificate_without_proof(
    door: TestClient, world: World
) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    door.post(f"{where}/cancel")

    body = door.get(f"{where}/certificate").json()

    assert (body["status"], body["proof"]) == ("cancelled", None)
