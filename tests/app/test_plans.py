"""A dry run: the plan of a request with a price for each rung, and nothing written."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from world import World, add_version, new_model

from models_store import crew, forecast, offers, registry, rungs
from models_store.crew import Badge
from models_store.offers import Ability
from models_store.store import Store
from models_store.tables import Event, ForgetRequest, Job, Model, RequestSample

DEER = {"kind": "class", "label": "deer"}
NET = {
    "forward_macs": 10**9, "training_macs": 3 * 10**9, "parameters": 10**6, "activations": 10**5,
    "forward_rate": 0.01, "training_rate": 0.02,
}  # fmt: skip
COSTS = {
    "boundary_expanding": "forget",
    "boundary_shrink": "2 * forget",
    "l1_sparse": "epochs * retain",
    "retrain": "recipe_epochs * retain",
}


def warm(world: World, name: str = "w-1", *queues: str, rate: float = 1.0) -> None:
    """A worker that has measured the model's net, and methods that say what they cost."""
    badge = Badge(name, list(queues or ("fast", "quality", "exact")), "cpu", "here", 7, {})
    with world.store.begin() as db:
        for method, trained in COSTS.items():
            cost = {"trained": trained, "forwards": "0", "batch": "10"}
            traits = {"cost": cost, "exact": method == "retrain"}
            traits |= {"needs": ["recipe"]} if method == "retrain" else {}
            fields = {"epochs": {"type": "integer", "default": 5}}
            offers.advertise(db, [Ability("method", method, "", {"properties": fields}, traits)])
        subject = rungs.subject(db, db.get_one(Model, world.model_id))
        net = NET | {"training_rate": rate * NET["training_rate"]}
        crew.sign_in(db, badge)
        crew.tell(
            db,
            name,
            {"idle_bytes": 10**8, "audit": "unseen", "nets": {forecast.net_of(subject): net}},
        )


def plan(door: TestClient, status: int = 200, **body: Any) -> Any:
    chosen = {"model": "zoo", "target": DEER} | body
    answer = door.post("/forget-requests?dry_run=true", json=chosen)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_each_rung_that_may_follow_has_its_price(door: TestClient, world: World) -> None:
    warm(world)

    found = plan(door)

    assert (found["status"], found["target_count"], found["to_do"]) == ("queued", 8, 8)
    assert [(rung["lane"], rung["method"]) for rung in found["rungs"]] == [
        ("fast", "boundary_expanding"),
        ("quality", "boundary_shrink"),
        ("exact", "retrain"),
    ]
    assert [(rung["forget"], rung["retain"]) for rung in found["rungs"]] == [(8, 24)] * 3
    # images trained on, times 3 GMAC, times 0.02 s; the recipe is one epoch
    unlearning = [rung["prediction"]["unlearning_seconds"] for rung in found["rungs"]]
    assert unlearning == pytest.approx([8 * 0.06, 16 * 0.06, 24 * 0.06])
    first = found["rungs"][0]["prediction"]
    assert first["seconds"] == pytest.approx(0.48 + 8 * 0.01 + 1)  # 8 unseen images, 1 s beside
    assert first["peak_memory_bytes"] == 10**8 + 20 * 10**6 + 10 * 8 * 10**5
    assert first["device"] == "cpu"


def test_nothing_is_written(door: TestClient, world: World) -> None:
    warm(world)
    tables = (ForgetRequest, RequestSample, Job, Event)

    def rows() -> list[int]:
        with world.store.read() as db:
            return [db.query(table).count() for table in tables]

    before = rows()
    plan(door)

    assert rows() == before
    assert door.get("/datasets/animals/samples?forgotten=true").json()["items"] == []


def test_a_named_method_runs_alone_with_its_parameters(door: TestClient, world: World) -> None:
    warm(world)

    found = plan(door, method="l1_sparse", params={"epochs": 7})

    (rung,) = found["rungs"]
    assert (rung["lane"], rung["method"], rung["params"]) == (None, "l1_sparse", {"epochs": 7})
    assert rung["prediction"]["unlearning_seconds"] == pytest.approx(7 * 24 * 0.06)


def test_what_is_pruned_first_has_no_price(door: TestClient, world: World) -> None:
    warm(world)
    with world.store.begin() as db:
        offers.advertise(db, [Ability("pruner", "omp", "", {}, {})])
    prune = {"method": "omp", "sparsity": 0.9, "params": {}}

    (rung,) = plan(door, method="l1_sparse", prune=prune)["rungs"]
    body = {"model": "zoo", "target": DEER, "method": "l1_sparse", "prune": prune}
    asked = door.post("/forget-requests", json=body).json()
    claim, begun = world.begin(UUID(asked["job"]))

    assert (rung["prune"], rung["prediction"]) == (prune, None)
    with world.store.begin() as db:
        assert forecast.note(db, claim, begun) is None


def test_a_method_outside_of_its_design_is_flagged(door: TestClient, world: World) -> None:
    with world.store.begin() as db:
        for method, target in (("boundary_expanding", "class"), ("l1_sparse", "samples")):
            offers.advertise(db, [Ability("method", method, "", {}, {"designed_for": [target]})])

    assert plan(door)["out_of_design"] is False
    assert plan(door, method="l1_sparse")["out_of_design"] is True


def test_it_says_which_waiting_job_would_be_shared(door: TestClient, world: World) -> None:
    warm(world)
    target = {"kind": "samples", "sample_ids": ["train/cat/00", "train/deer/01"]}
    waiting = door.post("/forget-requests", json={"model": "zoo", "target": target}).json()

    found, apart = plan(door), plan(door, lane="quality")

    assert found["joins"] == waiting["job"]
    assert (found["rungs"][0]["forget"], found["rungs"][0]["retain"]) == (9, 23)
    assert found["rungs"][1]["method"] == "l1_sparse"  # for a union of both kinds
    assert apart["joins"] is None
    assert [rung["lane"] for rung in apart["rungs"]] == ["quality", "exact"]


def test_a_rung_without_a_recipe_is_refused_by_the_same_problem(
    door: TestClient, world: World
) -> None:
    warm(world)
    with world.store.begin() as db:
        model = registry.register(db, new_model("found"), "me")
    add_version(world.store, model.id, recipe=None)

    last = plan(door, model="found")["rungs"][-1]
    asked = plan(door, 422, model="found", lane="exact")

    assert (last["lane"], last["prediction"]) == ("exact", None)
    assert last["refused"]["type"] == asked["type"] == "/problems/no-recipe"


def test_what_would_be_refused_is_refused_in_the_same_words(door: TestClient, world: World) -> None:
    body = {"model": "zoo", "target": {"kind": "samples", "sample_ids": ["nobody"]}}

    dry, real = (
        door.post(f"/forget-requests{query}", json=body).json() for query in ("?dry_run=true", "")
    )

    assert {**dry, "request_id": ""} == {**real, "request_id": ""}
    assert dry["unknown"] == ["nobody"]


def test_what_has_been_forgotten_costs_nothing(door: TestClient, world: World) -> None:
    warm(world)
    target = {"kind": "samples", "sample_ids": ["test/cat/08"]}

    found = plan(door, target=target)

    assert (found["status"], found["to_do"], found["rungs"]) == ("succeeded", 0, [])


def test_a_request_that_awaits_approval_has_a_price_too(door: TestClient, world: World) -> None:
    warm(world)
    door.put("/models/zoo/policy", json={"require_approval": True}).raise_for_status()

    found = plan(door)

    assert (found["status"], found["joins"]) == ("awaiting_approval", None)
    assert found["rungs"][0]["prediction"] is not None
    assert found["rungs"][0]["retain"] == 24


def test_the_price_is_that_of_a_present_worker_of_the_queue(door: TestClient, world: World) -> None:
    warm(world, "slow", "quality", rate=10)
    warm(world, "quick", "fast")

    fast, quality, exact = plan(door)["rungs"]

    assert fast["prediction"]["unlearning_seconds"] == pytest.approx(8 * 0.06)
    assert quality["prediction"]["unlearning_seconds"] == pytest.approx(16 * 0.6)
    assert exact["prediction"] is None  # nobody serves that queue


def test_without_a_worker_there_is_a_plan_but_no_price(door: TestClient, world: World) -> None:
    assert [rung["prediction"] for rung in plan(door)["rungs"]] == [None] * 3


def test_a_method_whose_cost_makes_no_sense_has_no_price(door: TestClient, world: World) -> None:
    warm(world)
    cost = {"trained": "1 / 0", "forwards": "0", "batch": "10"}
    with world.store.begin() as db:
        offers.advertise(db, [Ability("method", "boundary_expanding", "", {}, {"cost": cost})])

    assert plan(door)["rungs"][0]["prediction"] is None


# ---- beside the result ---------------------------------------------------------------------------


def carried_out(world: World, job_id: Any, seconds: float) -> None:
    claim, rung = world.begin(job_id)
    with world.store.begin() as db:
        forecast.note(db, claim, rung)
    world.publish(claim, rung, rte_seconds=seconds / 2, seconds=seconds, peak_memory_bytes=2.0**30)


def test_a_job_keeps_its_forecast_beside_its_result_and_the_next_learns_from_it(
    door: TestClient, world: World
) -> None:
    warm(world, world.worker)
    first = door.post("/forget-requests", json={"model": "zoo", "target": DEER}).json()
    carried_out(world, UUID(first["job"]), seconds=20.0)

    job = door.get(f"/jobs/{first['job']}").json()
    next_one = plan(door, target={"kind": "class", "label": "cat"}, lane="fast")["rungs"][0]

    assert job["prediction"]["unlearning_seconds"] == pytest.approx(8 * 0.06)
    assert job["result"]["seconds"] == 20.0
    assert next_one["prediction"]["seconds"] == pytest.approx(20.0, rel=0.01)
    assert next_one["prediction"]["peak_memory_bytes"] == 2**30
    error = door.get("/stats").json()["prediction_error"]
    assert error == pytest.approx(abs(job["prediction"]["seconds"] / 20 - 1), abs=1e-4)


def test_a_job_on_a_net_that_was_not_measured_has_no_forecast(
    door: TestClient, world: World, store: Store
) -> None:
    asked = door.post("/forget-requests", json={"model": "zoo", "target": DEER}).json()
    claim, rung = world.begin(UUID(asked["job"]))

    with store.begin() as db:
        assert forecast.note(db, claim, rung) is None
    world.publish(claim, rung)

    assert door.get(f"/jobs/{asked['job']}").json()["prediction"] is None
    assert door.get("/stats").json()["prediction_error"] is None
