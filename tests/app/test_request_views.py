"""Looking at requests: alone, in pages, and as they move."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from fastapi.testclient import TestClient
from world import World

from models_store.targets import Target

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def of_samples(*ids: str, **more: Any) -> dict[str, Any]:
    return {"model": "zoo", "target": {"kind": "samples", "sample_ids": list(ids)}, **more}


def test_a_poll_costs_nothing_until_something_changes(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    first = door.get(where)
    known = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}

    unchanged = door.get(where, headers=known)
    claim, _ = world.begin(UUID(first.json()["job"]))
    changed = door.get(where, headers=known)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == first.headers["etag"]
    assert unchanged.headers["retry-after"] == "1"
    assert changed.status_code == 200
    assert (changed.json()["status"], changed.json()["phase"]) == ("running", "preparing")
    assert claim.attempt == 1


def test_an_interim_version_shows_while_the_ladder_goes_on(door: TestClient, world: World) -> None:
    where = door.post("/forget-requests", json=DEER).headers["location"]
    first = door.get(where).json()

    claim, rung = world.begin(UUID(first["job"]))
    world.publish(claim, rung, verdict="inconclusive")
    interim = door.get(where).json()
    claim, rung = world.begin(UUID(interim["job"]))
    world.publish(claim, rung, verdict="pass")
    end = door.get(where)

    assert (interim["status"], interim["interim_version"], interim["version"]) == (
        "running", 2, None,
    )  # fmt: skip
    assert interim["job"] != first["job"]
    assert (end.json()["status"], end.json()["version"]) == ("succeeded", 3)
    assert "retry-after" not in end.headers


def test_a_method_outside_of_its_design_is_flagged(door: TestClient, world: World) -> None:
    def flagged(body: dict[str, Any], query: str = "") -> bool:
        return bool(door.post(f"/forget-requests{query}", json=body).json()["out_of_design"])

    few = of_samples("train/cat/00", method="boundary_shrink")

    assert flagged(few, "?dry_run=true")
    assert flagged(few)
    assert flagged(of_samples("train/cat/01"))  # the fast lane is Boundary Expanding
    assert not flagged(of_samples("train/cat/02", lane="quality"))
    assert not flagged(DEER)


def test_somebody_elses_request_is_not_found(door: TestClient, world: World) -> None:
    request = world.ask(Target("class", label="deer"), owner="somebody")

    answer = door.get(f"/forget-requests/{request.id}")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert door.get(f"/forget-requests/{uuid4()}").status_code == 404
    assert door.get("/forget-requests/not-an-id").status_code == 422


def test_the_list_pages_newest_first_and_ends(door: TestClient, world: World) -> None:
    ids = [
        door.post("/forget-requests", json=of_samples(f"train/cat/0{i}")).json()["id"]
        for i in range(5)
    ]

    pages, token = [], None
    while True:
        query = {"page_size": 2, "page_token": token} if token else {"page_size": 2}
        page = door.get("/forget-requests", params=query).json()
        pages.append([item["id"] for item in page["items"]])
        token = page["next_page_token"]
        if token is None:
            break

    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


def test_a_page_token_is_bound_to_its_filters(door: TestClient, world: World) -> None:
    for i in range(3):
        door.post("/forget-requests", json=of_samples(f"train/cat/0{i}"))
    page = door.get("/forget-requests?status=queued&page_size=1").json()

    moved = door.get(f"/forget-requests?page_size=1&page_token={page['next_page_token']}")
    broken = door.get("/forget-requests?page_token=nonsense")
    unread = door.get("/forget-requests?page_token=%C3%A4")
    negative = door.get("/forget-requests?page_size=-1")
    huge = door.get("/forget-requests?page_size=100000")

    assert (moved.status_code, moved.json()["type"]) == (400, "/problems/bad-page-token")
    assert broken.status_code == unread.status_code == 400
    assert negative.status_code == 422
    assert huge.status_code == 200


def test_the_list_filters_by_status_and_model(door: TestClient, world: World) -> None:
    queued = door.post("/forget-requests", json=DEER).json()["id"]
    done = door.post("/forget-requests", json=of_samples("test/cat/08")).json()["id"]

    def listed(query: str) -> list[str]:
        return [item["id"] for item in door.get(f"/forget-requests?{query}").json()["items"]]

    assert listed("status=queued") == [queued]
    assert listed("status=succeeded&model=zoo") == [done]
    assert door.get("/forget-requests?model=nobody").status_code == 404


def test_a_longer_list_takes_no_more_statements(
    door: TestClient, world: World, statements: Callable[[Callable[[], object]], int]
) -> None:
    door.post("/forget-requests", json=of_samples("train/cat/00", lane="quality"))
    one = statements(lambda: door.get("/forget-requests"))
    for i in range(1, 6):
        door.post("/forget-requests", json=of_samples(f"train/cat/0{i}"))

    six = statements(lambda: door.get("/forget-requests"))

    assert len(door.get("/forget-requests").json()["items"]) == 6
    assert one == six
