"""Datasets and their samples, as the door shows them."""

from collections.abc import Callable
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from world import World

from models_store.store import Store
from models_store.tables import Job

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}


def test_a_dataset_is_shown_with_its_samples(door: TestClient, world: World) -> None:
    body = door.get("/datasets/animals").json()

    assert door.get(f"/datasets/{world.dataset_id}").json() == body
    assert door.get("/datasets").json()["items"] == [body]
    assert (body["state"], body["shape"], body["counts"]) == (
        "ready", [8, 8, 1], {"train": 32, "test": 8},
    )  # fmt: skip
    assert door.get("/datasets/nobody").status_code == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 40), ("subject=person-0", 8), ("label=2", 10), ("split=test", 8),
        ("label=2&split=train", 8), ("forgotten=true", 0), ("forgotten=false", 40),
    ],
)  # fmt: skip
def test_samples_are_filtered(door: TestClient, world: World, query: str, count: int) -> None:
    page = door.get(f"/datasets/animals/samples?{query}").json()

    assert len(page["items"]) == count
    assert page["next_page_token"] is None


def test_samples_are_paged_in_the_order_of_the_dataset(
    door: TestClient, world: World, statements: Callable[[Callable[[], object]], int]
) -> None:
    positions, token = [], None
    while True:
        params = {"page_size": 15, "split": "train"} | ({"page_token": token} if token else {})
        page = door.get("/datasets/animals/samples", params=params).json()
        positions += [item["position"] for item in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break

    assert positions == sorted(positions)
    assert len(positions) == 32
    assert statements(lambda: door.get("/datasets/animals/samples")) <= 4


def test_forgotten_samples_say_by_which_request(door: TestClient, world: World) -> None:
    request = door.post("/forget-requests", json=DEER).json()

    items = door.get("/datasets/animals/samples?forgotten=true").json()["items"]

    assert [item["forgotten_by"] for item in items] == [request["id"]] * 8
    assert {item["label"] for item in items} == {2}


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/other/faces.npz",
        "s3://bucket/sets2/faces.npz",
        "s3://bucket/sets/../other/faces.npz",
        "s3://bucket/sets/::file:///etc/passwd",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_leads_elsewhere_is_not_imported_from(door: TestClient, url: str) -> None:
    answer = door.post("/datasets", json={"name": "faces", "path": url})

    assert answer.json()["type"] == "/problems/forbidden-path"


def test_a_url_is_handed_to_the_job_as_it_is(door: TestClient, store: Store) -> None:
    url = "s3://bucket/sets/faces.npz"

    job = door.post("/datasets", json={"name": "faces", "path": url}).json()["job"]

    with store.read() as db:
        assert db.get_one(Job, UUID(job)).task["path"] == url
