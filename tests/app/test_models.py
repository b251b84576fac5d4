"""Models, their versions, and the reports on them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from world import RECIPE, World

from models_store.life import JobKind
from models_store.tables import Job

MODEL = {
    "name": "farm", "architecture": "small_cnn", "parameters": {}, "dataset": "animals",
    "mean": [0.5], "std": [0.25],
}  # fmt: skip
DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def test_a_model_is_registered_and_found_by_name_and_id(door: TestClient, world: World) -> None:
    answer = door.post("/models", json=MODEL)

    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/models/{body['id']}"
    assert body["dataset_id"] == str(world.dataset_id)
    assert door.get("/models/farm").json() == door.get(answer.headers["location"]).json() == body
    assert [model["name"] for model in door.get("/models").json()["items"]] == ["farm", "zoo"]


@pytest.mark.parametrize(
    ("change", "status", "problem"),
    [
        ({"name": "zoo"}, 409, "name-taken"),
        ({"name": "../zoo"}, 422, "validation"),
        ({"name": "01a1fc27-d6b8-7326-ac62-b41e9188a631"}, 422, "validation"),
        ({"name": ""}, 422, "validation"),
        ({"architecture": "small_cmn"}, 422, "invalid-params"),
        ({"parameters": {"width": 1}}, 422, "invalid-params"),
        ({"dataset": "nobody"}, 404, "not-found"),
        ({"mean": [0.5, 0.5]}, 422, "invalid-params"),
        ({"std": [0.0]}, 422, "validation"),
        ({"policy": {"last_rung": "none"}}, 422, "validation"),
        ({"colour": "red"}, 422, "validation"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    door: TestClient, world: World, change: dict[str, Any], status: int, problem: str
) -> None:
    answer = door.post("/models", json={**MODEL, **change})

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    assert len(door.get("/models").json()["items"]) == 1


def test_training_opens_a_job_with_the_recipe(door: TestClient, world: World) -> None:
    answer = door.post("/models/zoo/train", json={"recipe": RECIPE, "seed": 7})

    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    with world.store.read() as db:
        job = db.query(Job).filter(Job.kind == JobKind.TRAIN).one()
    assert (str(job.id), job.task, job.seed) == (answer.json()["id"], {"recipe": RECIPE}, 7)
    assert door.post("/models/zoo/train", json={"recipe": {"epochs": 0}}).status_code == 422
    assert door.post("/models/nobody/train", json={}).status_code == 404


def test_a_policy_is_replaced_as_a_whole(door: TestClient, world: World) -> None:
    before = door.get("/models/zoo/policy")

    answer = door.put("/models/zoo/policy", json={"last_rung": "quality", "grace_seconds": 60})

    assert before.json()["last_rung"] == "exact"
    assert answer.status_code == 200, answer.text
    after = door.get("/models/zoo/policy")
    assert after.json() == answer.json() == before.json() | {
        "last_rung": "quality", "grace_seconds": 60,
    }  # fmt: skip
    assert after.headers["etag"] != before.headers["etag"]
    wrong = {"for_class": {"quality": "no_such_method"}}
    assert door.put("/models/zoo/policy", json=wrong).status_code == 422
    assert door.get("/models/zoo/policy").json() == after.json()
