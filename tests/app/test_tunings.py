"""Tunings at the door: ordered, shown, stopped, adopted, exported."""

import tomllib
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from world import World

from models_store import crew, forecast, offers, registry, rungs, tunings
from models_store.crew import Badge
from models_store.offers import Ability
from models_store.tables import Trial


@pytest.fixture(autouse=True)
def on_offer(world: World) -> None:
    schema = {"type": "object"}
    with world.store.begin() as db:
        offers.advertise(db, [Ability("method", "ssd", "Dampens.", schema, {"tunable": True})])


def ordered(door: TestClient) -> str:
    answer = door.post("/models/zoo/tunings", json={"method": "ssd", "class": "deer"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    return str(answer.json()["id"])


def finished(door: TestClient, world: World) -> str:
    tuning = ordered(door)
    with world.store.read() as db:
        job = tunings.page(db, registry.get(db, "zoo"), None, 1)[0]
    claim = world.claim(job.id)
    assert claim is not None
    for number, params in enumerate(({}, {"alpha": 2.0})):
        with world.store.begin() as db:
            figures = {"forget": 0.5 - number / 2}
            trial = Trial(number=number, params=params, figures=figures, gap=0.25 - number / 8,
                          seconds=1.5)  # fmt: skip
            tunings.add(db, claim, trial)
    with world.store.begin() as db:
        tunings.finish(db, claim, 1, {"forget": 0.0})
    return tuning


def test_a_tuning_is_ordered_listed_and_shown(door: TestClient, world: World) -> None:
    tuning = finished(door, world)

    shown = door.get(f"/models/zoo/tunings/{tuning}").json()

    assert (shown["status"], shown["goal"], shown["rehearsed"]) == (
        "succeeded", "class", {"label": 2},
    )  # fmt: skip
    assert (shown["params"], shown["gap"], shown["gap_of_defaults"]) == (
        {"alpha": 2.0},
        0.125,
        0.25,
    )
    assert [trial["params"] for trial in shown["trials"]] == [{}, {"alpha": 2.0}]
    listed = door.get("/models/zoo/tunings").json()["items"]
    assert [each["id"] for each in listed] == [tuning]
    assert "trials" not in listed[0]


def test_what_was_found_is_adopted_shown_used_and_taken_back(
    door: TestClient, world: World
) -> None:
    tuning = finished(door, world)

    answer = door.post(f"/models/zoo/tunings/{tuning}/adopt")

    assert answer.json() == {"recipe": None, "adopted": {"class": {"ssd": {"alpha": 2.0}},
                                                         "samples": {}}}  # fmt: skip
    body = {"model": "zoo", "target": {"kind": "class", "label": "deer"}, "method": "ssd"}
    (rung,) = door.post("/forget-requests?dry_run=true", json=body).json()["rungs"]
    assert (rung["params"], rung["params_from"]) == ({"alpha": 2.0}, f"tuning {tuning}")
    own = body | {"params": {"alpha": 9.0}}
    (rung,) = door.post("/forget-requests?dry_run=true", json=own).json()["rungs"]
    assert (rung["params"], rung["params_from"]) == ({"alpha": 9.0}, "request")
    back = door.delete("/models/zoo/tuned/class/ssd")
    assert (back.status_code, back.json()["adopted"]["class"]) == (200, {})
    assert door.delete("/models/zoo/tuned/class/ssd").status_code == 404


def test_what_was_adopted_can_be_had_as_a_recipe_file(door: TestClient, world: World) -> None:
    door.post(f"/models/zoo/tunings/{finished(door, world)}/adopt")

    answer = door.get("/models/zoo/tuned", headers={"Accept": "application/toml"})

    assert answer.headers["content-type"] == "application/toml"
    said = tomllib.loads(answer.text)
    assert (said["dataset"], said["class"]["ssd"]["params"]) == ("animals", {"alpha": 2.0})
    assert door.get("/models/zoo/tuned", headers={"Accept": "image/png"}).status_code == 406


def test_an_order_says_what_all_tries_should_take(door: TestClient, world: World) -> None:
    cost = {"trained": "epochs * (forget + retain)", "forwards": "0", "batch": "10"}
    rehearsal = {"tries": 6, "params": {"epochs": 2}, "shown": 0.75}
    net = {"forward_macs": 10**9, "training_macs": 3 * 10**9, "parameters": 10, "activations": 10,
           "forward_rate": 0.01, "training_rate": 0.02}  # fmt: skip
    with world.store.begin() as db:
        traits = {"tunable": True, "cost": cost, "rehearsal": rehearsal}
        offers.advertise(db, [Ability("method", "ssd", "Dampens.", {}, traits)])
        known = forecast.net_of(rungs.subject(db, registry.get(db, "zoo")))
        crew.sign_in(db, Badge("w-1", ["quality"], "cpu", "here", 7, {}))
        crew.tell(db, "w-1", {"idle_bytes": 0, "audit": "forget", "nets": {known: net}})

    tuning = finished(door, world)

    shown = door.get(f"/models/zoo/tunings/{tuning}").json()
    once = 2 * (8 + 0.75 * 24) * 3 * 0.02  # two epochs of a class of 8, and of the rest of 32
    assert shown["prediction"]["unlearning_seconds"] == pytest.approx(6 * once)
    assert shown["prediction"]["seconds"] == pytest.approx(6 * (once + 8 * 0.01) + 1)
    assert shown["seconds"] == 3.0
    assert door.get(f"/jobs/{tuning}").json()["prediction"]["seconds"] > 6 * once


def test_a_tuning_is_withdrawn_once(door: TestClient, world: World) -> None:
    tuning = ordered(door)
    path, checkpoint = f"/models/zoo/tunings/{tuning}/cancel", world.paused(UUID(tuning))

    first, second = door.post(path), door.post(path)

    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert not world.store.blobs.path(checkpoint).exists()
    assert (second.status_code, second.json()["type"]) == (409, "/problems/invalid-transition")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"method": "ssd"}, "validation"),
        ({"method": "ssd", "class": 1, "samples": 5}, "validation"),
        ({"method": "ssd", "class": "unicorn"}, "unknown-samples"),
        ({"method": "ssd", "samples": 5}, "invalid-params"),
        ({"method": "retrain", "class": 1}, "invalid-params"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(
    door: TestClient, world: World, body: dict[str, Any], problem: str
) -> None:
    answer = door.post("/models/zoo/tunings", json=body)

    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{problem}")
    assert door.get("/models/zoo/tunings").json()["items"] == []


def test_the_tuning_of_another_model_is_not_found(door: TestClient, world: World) -> None:
    body = {"name": "other", "architecture": "small_cnn", "dataset": "animals",
            "mean": [0.5], "std": [0.5]}  # fmt: skip
    assert door.post("/models", json=body).status_code == 201

    assert door.get(f"/models/other/tunings/{ordered(door)}").status_code == 404
