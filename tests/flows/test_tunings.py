"""Tuning with real processes, in both modes; the tests follow one another."""

import json
import subprocess
import sys
import time
from typing import Any

from house import KEY, House, wait


def test_a_tuning_shows_its_tries_while_it_runs_and_makes_way(house: House) -> None:
    job = order(house, "finetune")
    wait(lambda: bool(tries(house, job)), 90, lambda: str(house.get(f"/jobs/{job}")))

    asked = house.ask({"kind": "samples", "sample_ids": ["digit-0001"]}, lane="fast")

    assert served(house, asked["id"])
    assert house.finished_job(job)["status"] == "succeeded"
    found = house.get(f"/models/digits/tunings/{job}")
    assert [each["number"] for each in found["trials"]] == list(range(6))
    assert found["gap"] <= found["gap_of_defaults"]
    assert found["prediction"]["unlearning_seconds"] > 0
    assert found["seconds"] > 0


def test_one_that_is_withdrawn_stops(house: House) -> None:
    job = order(house, "l1_sparse")  # its tries take longer than a withdrawal
    wait(lambda: bool(tries(house, job)), 90, lambda: str(house.get(f"/jobs/{job}")))

    house.post(f"/models/digits/tunings/{job}/cancel", 200)

    assert house.finished_job(job)["status"] == "cancelled"
    assert len(tries(house, job)) < 6


def test_what_the_command_finds_and_adopts_is_what_requests_run_with(house: House) -> None:
    lethe = [sys.executable, "-m", "lethe", "--url", str(house.client.base_url), "--key", KEY]
    said = subprocess.run(
        [*lethe, "--json", "tune", "digits", "ssd", "--class", "4", "--adopt"],
        env=house.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    tuning = json.loads(said.stdout)
    asked = house.ask({"kind": "class", "label": 4}, method="ssd")

    done = house.finished_job(house.get(f"/forget-requests/{asked['id']}")["job"])

    version = house.get(f"/models/digits/versions/{done['result']['version']}")
    assert version["params"] == tuning["params"]
    assert version["provenance"]["params_from"] == f"tuning {tuning['id']}"


def order(house: House, method: str) -> str:
    body = {"method": method, "class": 4}
    return str(house.post("/models/digits/tunings", 202, json=body)["id"])


def tries(house: House, job: str) -> Any:
    return house.get(f"/models/digits/tunings/{job}")["trials"]


def served(house: House, request: str) -> Any:
    """The version that has forgotten what a request names, once there is one."""
    deadline = time.monotonic() + 60
    while True:
        state = house.get(f"/forget-requests/{request}")
        if state["interim_version"] or state["version"]:
            return state["interim_version"] or state["version"]
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
