"""Every path that reads: as many SQL statements for twenty rows as for one."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from world import World, add_half, add_version, new_model, samples

from models_store import certificates, crew, datasets, offers, registry, tunings
from models_store.crew import Badge
from models_store.offers import Ability
from models_store.tunings import Order

Counted = Callable[[Callable[[], object]], int]

WALKS = {"/doctor"}
"""It compares every row with every file, by design."""
MANY = 20


@pytest.fixture
def paths(app: FastAPI, world: World, door: TestClient) -> list[str]:
    """All that can be read, with one of everything in the store."""
    add(world, 0)
    request = door.get("/forget-requests?status=succeeded").json()["items"][0]
    tuning = door.get("/models/zoo/tunings").json()["items"][0]
    certificate = door.get("/certificates").json()["items"][0]
    names = {
        "{certificate}": certificate["id"],
        "{tuning}": tuning["id"], "{dataset}": "animals", "{model}": "zoo", "{which}": "active", "{slug}": "not-found",
        "{request_id}": request["id"], "{job_id}": request["job"],
    }  # fmt: skip
    found = [path for path, verbs in app.openapi()["paths"].items() if "get" in verbs]
    return [replaced(path, names) for path in found if path not in WALKS]


def replaced(path: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        path = path.replace(name, value)
    return path


def add(world: World, number: int) -> None:
    """One more of each: model, dataset, worker, offer, version, half, request carried out and open."""
    with world.store.begin() as db:
        registry.register(db, new_model(f"model-{number}"), "me")
        datasets.register(db, name=f"set-{number}", source={"path": f"{number}"}, actor="me")
        crew.sign_in(db, Badge(f"worker-{number}", ["fast"], "cpu", "here", number, {}))
        kinds = ("method", "pruner", "audit", "net")
        traits = {"tunable": True}
        offers.advertise(db, [Ability(kind, f"new-{number}", "", {}, traits) for kind in kinds])
    add_version(world.store, world.model_id)
    with world.store.begin() as db:
        wanted = Order(method=f"new-{number}", label="deer")
        tunings.order(db, registry.get(db, "zoo"), wanted, "me")
        certified = certificates.Order(method=f"new-{number}", params={}, shadows=5)
        certificates.order(db, registry.get(db, "zoo"), certified, "me")
    add_half(world, number)
    name = f"train/{('cat', 'deer', 'ship')[number // 8]}/{number % 8:02d}"
    world.serve_request(world.ask(samples(name), owner="local"))
    world.ask(samples(name, "train/airplane/00"), owner="local")


def test_nothing_that_is_read_takes_more_statements_for_more_rows(
    door: TestClient, world: World, paths: list[str], statements: Counted
) -> None:
    one = {path: asked(door, path, statements) for path in paths}
    for number in range(1, MANY):
        add(world, number)

    many = {path: asked(door, path, statements) for path in paths}

    assert len(paths) > 20
    assert len(door.get("/forget-requests").json()["items"]) == 2 * MANY
    assert len(door.get("/models/zoo/versions").json()["items"]) > MANY
    assert many == one


def asked(door: TestClient, path: str, statements: Counted) -> int:
    def ask() -> Any:
        answer = door.get(path)
        assert answer.status_code == 200, (path, answer.text)

    return statements(ask)
