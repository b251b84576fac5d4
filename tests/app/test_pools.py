"""Reference pools and audits, as the door takes orders for them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from world import World, add_half, add_version

from models_store import pools
from models_store.life import JobKind
from models_store.tables import Job
from models_store.targets import Target


def test_a_pool_is_ordered_and_shown(door: TestClient, world: World) -> None:
    answer = door.post("/models/zoo/pool", json={"retrains": [{"class": "deer"}]})

    assert answer.status_code == 202, answer.text
    with world.store.read() as db:
        job = db.query(Job).filter(Job.kind == JobKind.POOL).one()
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}" == f"/jobs/{job.id}"
    assert (job.task["size"], job.task["retrains"]) == (8, [{"label": 2, "size": 5}])
    shown = door.get("/models/zoo/pool")
    assert shown.headers["retry-after"]
    body = shown.json()
    assert (body["job"], body["usable"], body["members"]) == (str(job.id), False, [])
    assert door.post("/models/zoo/pool", json={}).json()["type"] == "/problems/not-ready"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"size": 7}, "validation"),
        ({"size": -2}, "validation"),
        ({"retrains": [{"class": "unicorn"}]}, "unknown-samples"),
        ({"retrains": [{"class": 2, "size": 0}]}, "validation"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(
    door: TestClient, world: World, body: dict[str, Any], problem: str
) -> None:
    answer = door.post("/models/zoo/pool", json=body)

    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{problem}")
    assert door.get("/models/zoo/pool").status_code == 404


def test_without_a_recipe_there_is_no_pool(door: TestClient, world: World) -> None:
    add_version(world.store, world.model_id, recipe=None)

    answer = door.post("/models/zoo/pool", json={})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/no-recipe")


def test_a_pool_counts_what_is_ready(door: TestClient, world: World) -> None:
    for draw in range(pools.LEAST):
        add_half(world, draw)

    body = door.get("/models/zoo/pool").json()

    assert (body["usable"], body["ready"], body["job"]) == (
        True,
        {"halves": pools.LEAST, "retrains": {}},
        None,
    )
    assert [member["state"] for member in body["members"]] == ["ready"] * pools.LEAST


def test_a_version_is_audited_again_on_order(door: TestClient, world: World) -> None:
    request = world.ask(Target("class", label="deer"))
    world.serve_request(request)

    answer = door.post("/models/zoo/versions/active/audit", json={"tier": 1})
    by_policy = door.post("/models/zoo/versions/2/audit")

    assert answer.status_code == by_policy.status_code == 202, answer.text
    assert (answer.json()["version"], answer.json()["tier"]) == (2, 1)
    assert by_policy.json()["tier"] == 0
    job = door.get(answer.headers["location"]).json()
    assert (job["kind"], job["base_version"], job["request_count"]) == ("audit", 1, 0)
    assert door.post("/models/zoo/versions/2/audit", json={"tier": 2}).status_code == 422


def test_a_version_that_forgot_nothing_has_only_its_baseline(
    door: TestClient, world: World
) -> None:
    answer = door.post("/models/zoo/versions/1/audit")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid-transition")
