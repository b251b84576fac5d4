"""Certificates with real processes, in both modes; the tests follow one another."""

import json
import subprocess
import sys
from typing import Any

from house import KEY, House, wait


def test_a_method_that_forgets_no_class_is_refused_one(house: House) -> None:
    done = lethe(
        house, "certify", "digits", "--method", "finetune", "--kind", "class", "--shadows", "5",
        "--param", "epochs=1",
    )  # fmt: skip

    assert (done["verdict"], done["status"]) == ("refused", "succeeded")
    assert "forgotten.d_f" in done["reason"]
    listed = lethe(house, "certificates", "list", "--verdict", "refused", "--kind", "class")
    assert [each["id"] for each in listed] == [done["id"]]


def test_one_that_is_being_decided_makes_way_and_leaves_nothing_when_withdrawn(
    house: House,
) -> None:
    body = {"method": "retrain", "kind": "samples", "size": 20, "shadows": 12}
    ordered = house.post("/models/digits/certificates", 202, json=body)
    job = f"/jobs/{ordered['job']}"
    wait(
        lambda: (house.get(job)["progress"].get("percent") or 0) > 10,
        90,
        lambda: str(house.get(job)),
    )

    asked = house.ask({"kind": "class", "label": 4}, lane="fast")
    wait(lambda: served(house, asked["id"]), 90, lambda: str(house.get(job)))
    house.post(f"/certificates/{ordered['id']}/cancel", 200)

    assert house.finished_job(ordered["job"])["status"] == "cancelled"
    assert house.get(f"/certificates/{ordered['id']}")["verdict"] is None
    wait(lambda: house.get("/doctor")["orphans"] == [], 30, lambda: str(house.get("/doctor")))


def lethe(house: House, *words: str) -> Any:
    command = [sys.executable, "-m", "lethe", "--url", str(house.client.base_url), "--key", KEY]
    said = subprocess.run(
        [*command, "--json", *words],
        env=house.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def served(house: House, request: str) -> bool:
    state = house.get(f"/forget-requests/{request}")
    return bool(state["interim_version"] or state["version"])
