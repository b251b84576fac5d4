"""Certificates at the door: ordered, listed, shown, withdrawn."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from world import World

from models_store import shadows
from models_store.life import Grant
from models_store.shadows import Outcome

BODY = {"method": "l1_sparse", "kind": "class", "shadows": 5}
FIGURE = {
    "test": "same_class.margin", "estimate": 0.51, "low": 0.49, "high": 0.53, "n": 300, "unit": "",
    "before": None, "gate": "The area lies within 0.050 of one half.", "verdict": "pass",
    "reason": "It is 0.510.", "power": 0.97, "details": {}, "allowed": [0.45, 0.55], "tier": 0,
    "p_value": None,
}  # fmt: skip


def ordered(door: TestClient, **more: Any) -> dict[str, Any]:
    answer = door.post("/models/zoo/certificates", json=BODY | more)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/jobs/{found['job']}"
    return found


def decided(door: TestClient, world: World, verdict: Grant) -> str:
    found = ordered(door)
    claim = world.claim(UUID(found["job"]))
    assert claim is not None
    with world.store.begin() as db:
        outcome = Outcome(verdict=verdict, reason="So it is.", figures=[FIGURE], trained=32)
        shadows.finish(db, claim, shadows.begin(db, claim), outcome)
    return str(found["id"])


def test_one_is_ordered_decided_and_shown_with_its_figures(door: TestClient, world: World) -> None:
    certificate = decided(door, world, Grant.GRANTED)

    shown = door.get(f"/certificates/{certificate}").json()

    assert (shown["verdict"], shown["status"], shown["attempt"]) == ("granted", "succeeded", 1)
    assert (shown["method"], shown["kind"], shown["size"], shown["shadows"]) == (
        "l1_sparse", "class", 1, 5,
    )  # fmt: skip
    assert shown["expires_at"] > shown["granted_at"]
    assert [each["test"] for each in shown["figures"]] == ["same_class.margin"]
    assert shown["figures"][0]["power"] == 0.97


def test_they_are_listed_by_what_is_asked_for_and_page_by_page(
    door: TestClient, world: World
) -> None:
    granted, refused = (decided(door, world, each) for each in (Grant.GRANTED, Grant.REFUSED))
    waiting = ordered(door, params={"epochs": 2})["id"]

    def listed(**filters: Any) -> list[str]:
        return [each["id"] for each in door.get("/certificates", params=filters).json()["items"]]

    assert listed() == [waiting, refused, granted]
    assert listed(verdict="granted", model="zoo", method="l1_sparse", kind="class") == [granted]
    assert listed(kind="samples") == listed(method="retrain") == []
    first = door.get("/certificates", params={"page_size": 2}).json()
    again = {"page_size": 2, "page_token": first["next_page_token"]}
    assert [each["id"] for each in door.get("/certificates", params=again).json()["items"]] == [
        granted
    ]
    assert door.get("/certificates", params=again | {"kind": "class"}).status_code == 400


def test_an_order_is_withdrawn_once(door: TestClient, world: World) -> None:
    order = ordered(door)
    path, checkpoint = f"/certificates/{order['id']}/cancel", world.paused(UUID(order["job"]))

    first, second = door.post(path), door.post(path)

    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert not world.store.blobs.path(checkpoint).exists()
    assert (second.status_code, second.json()["type"]) == (409, "/problems/invalid-transition")
    assert door.get(f"/certificates/{UUID(int=0)}").status_code == 404


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"kind": "samples"}, "validation"),
        ({"size": 10}, "validation"),
        ({"kind": "samples", "size": 10, "shadows": 10}, "validation"),
        ({"kind": "samples", "size": 10, "shadows": 6}, "validation"),
        ({"kind": "samples", "size": 10, "shadows": 9}, "invalid-params"),
        ({"method": "l2_sparse"}, "invalid-params"),
        ({"params": {"epochs": 0}}, "invalid-params"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(
    door: TestClient, world: World, more: dict[str, Any], problem: str
) -> None:
    answer = door.post("/models/zoo/certificates", json=BODY | more)

    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{problem}")
    assert door.get("/certificates").json()["items"] == []
