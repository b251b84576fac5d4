"""Asking that something be forgotten, and looking at how that goes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from world import World

from models_store.tables import Event, ForgetRequest, Job

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def of_samples(*ids: str, **more: Any) -> dict[str, Any]:
    return {"model": "zoo", "target": {"kind": "samples", "sample_ids": list(ids)}, **more}


def rows(world: World, table: type) -> int:
    with world.store.read() as db:
        return db.query(table).count()


def test_a_request_is_accepted_with_a_place_to_follow_it(door: TestClient, world: World) -> None:
    answer = door.post("/forget-requests", json=DEER)

    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/forget-requests/{body['id']}"
    assert answer.headers["retry-after"] == "1"
    assert body["status"] == "queued"
    assert body["phase"] is None
    assert body["job"] is not None
    assert body["model"] == str(world.model_id)
    assert body["model_name"] == "zoo"
    assert body["target"] == {"kind": "class", "label": "deer"}
    assert body["target_count"] == 8
    assert body["already_forgotten"] == {"count": 0}
    assert body["lane"] == "fast"
    assert body["interim_version"] is body["version"] is None
    assert body["received_at"].endswith("Z")
    assert set(body["next_actions"]) == {"cancel", "extend"}
    assert door.get(answer.headers["location"]).json() == body


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ({"kind": "class", "label": 2}, 8),
        ({"kind": "samples", "sample_ids": ["train/cat/00", "train/deer/01"]}, 2),
        ({"kind": "samples", "sample_ids": ["test/cat/08"]}, 1),
        ({"kind": "subjects", "subject_ids": ["person-0"]}, 8),
    ],
)
def test_a_target_is_a_class_samples_or_subjects(
    door: TestClient, world: World, target: dict[str, Any], count: int
) -> None:
    answer = door.post("/forget-requests", json={"model": str(world.model_id), "target": target})

    assert answer.status_code == 202
    assert answer.json()["target_count"] == count


def test_test_samples_are_forgotten_at_once_since_nothing_was_learnt(
    door: TestClient, world: World
) -> None:
    body = door.post("/forget-requests", json=of_samples("test/cat/08")).json()

    assert (body["status"], body["version"], body["job"]) == ("succeeded", 1, None)
    assert body["next_actions"] == {}


def test_a_method_of_its_own_is_checked_against_its_schema(door: TestClient, world: World) -> None:
    fits = door.post(
        "/forget-requests", json={**DEER, "method": "l1_sparse", "params": {"epochs": 2}}
    )
    does_not = door.post(
        "/forget-requests", json={**DEER, "method": "l1_sparse", "params": {"epochs": 0}}
    )
    unknown = door.post("/forget-requests", json={**DEER, "method": "l1-sparse"})

    assert fits.status_code == 202
    assert (fits.json()["method"], fits.json()["lane"]) == ("l1_sparse", None)
    assert does_not.status_code == 422
    assert does_not.json()["type"] == "/problems/invalid-params"
    assert does_not.json()["errors"][0]["at"] == "$.epochs"
    assert "l1_sparse" in unknown.json()["detail"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lane": "fast", "method": "l1_sparse"}, ""),
        ({"params": {"epochs": 1}}, ""),
        ({"prune": {"method": "omp", "sparsity": 0.9}}, ""),
        ({"method": "l1_sparse", "prune": {"method": "omp", "sparsity": 1}}, "/prune/sparsity"),
        (
            {
                "method": "l1_sparse",
                "prune": {"method": "omp", "sparsity": 0.9, "params": {"sparsity": 0.1}},
            },
            "/prune",
        ),
        ({"lane": "slow"}, "/lane"),
        ({"target": {"kind": "class"}}, "/target/class/label"),
        ({"target": {"kind": "rows", "rows": [1]}}, "/target"),
        ({"target": {"kind": "samples", "sample_ids": []}}, "/target/samples/sample_ids"),
        ({"colour": "red"}, "/colour"),
        ({"regime": "none"}, "/regime"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_a_pointer(
    door: TestClient, world: World, change: dict[str, Any], pointer: str
) -> None:
    answer = door.post("/forget-requests", json={**DEER, **change})

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/validation"
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert rows(world, ForgetRequest) == 0


def test_unknown_samples_are_listed_and_nothing_is_accepted(door: TestClient, world: World) -> None:
    answer = door.post("/forget-requests", json=of_samples("train/cat/00", "nobody", "nothing"))

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/unknown-samples"
    assert answer.json()["unknown"] == ["nobody", "nothing"]
    assert rows(world, ForgetRequest) == rows(world, Job) - 1 == 0


def test_too_many_samples_are_refused(door: TestClient, world: World) -> None:
    answer = door.post("/forget-requests", json=of_samples(*(f"s{i}" for i in range(101))))

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert answer.json()["limit"] == 100


def test_a_model_that_serves_nothing_cannot_forget_yet(door: TestClient, world: World) -> None:
    door.post(
        "/models",
        json={
            "name": "empty", "architecture": "small_cnn", "dataset": "animals",
            "mean": [0.5], "std": [0.5],
        },
    )  # fmt: skip

    answer = door.post("/forget-requests", json={**DEER, "model": "empty"})

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-ready")
    assert answer.headers["retry-after"] == "5"


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    door: TestClient, world: World
) -> None:
    door.post("/forget-requests", json=of_samples("train/deer/00", lane="quality"))
    before = rows(world, ForgetRequest), rows(world, Job), rows(world, Event)

    answer = door.post(
        "/forget-requests?dry_run=true",
        json={**DEER, "lane": "quality"},
        headers={"Idempotency-Key": "k"},
    )

    assert answer.status_code == 200
    plan = answer.json()
    assert (plan["target_count"], plan["to_do"], plan["lane"]) == (8, 8, "quality")
    assert plan["already_forgotten"]["sample_ids"] == ["train/deer/00"]
    assert (rows(world, ForgetRequest), rows(world, Job), rows(world, Event)) == before
    used = door.post("/forget-requests", json=DEER, headers={"Idempotency-Key": "k"})
    assert "idempotency-replayed" not in used.headers
