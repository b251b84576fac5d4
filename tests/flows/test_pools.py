"""Reference pools and tier 1 with real processes, in both modes; the tests follow one another."""

import time
from typing import Any

from house import House, wait

HALVES = 6
LONG = HALVES + 8
"""Long enough to build for a request to come between."""


def test_a_pool_is_built_while_its_progress_shows(house: House) -> None:
    seen: list[Any] = []
    job = order(house, size=HALVES, retrains=[{"class": 4, "size": 2}])

    def look() -> bool:
        seen.append(house.get(f"/jobs/{job}"))
        return seen[-1]["status"] == "succeeded"

    wait(look, 90, lambda: str(seen[-1]))

    assert seen[-1]["result"] == {"halves": HALVES, "retrains": 2, "built": HALVES + 2}
    training = [each["progress"] for each in seen if each["phase"] == "training"]
    percents = [each["percent"] for each in training if each["percent"] is not None]
    assert percents == sorted(percents)
    assert percents[-1] > 50
    pool = house.get("/models/digits/pool")
    assert (pool["usable"], pool["ready"]) == (True, {"halves": HALVES, "retrains": {"4": 2}})


def test_a_fast_request_does_not_wait_for_a_build(house: House) -> None:
    job = order(house, size=LONG)
    wait(lambda: house.get(f"/jobs/{job}")["progress"]["done"] > 0, 60, lambda: "no step was seen")

    asked = house.ask({"kind": "samples", "sample_ids": ["digit-0001"]}, lane="fast")
    served = wait_for_interim(house, asked["id"])

    assert served["status"] in {"running", "succeeded"}
    done = house.finished_job(job)
    assert done["status"] == "succeeded"
    assert "gave_way" in [attempt["outcome"] for attempt in done["attempts"]]
    assert house.get("/models/digits/pool")["ready"]["halves"] >= HALVES


def test_a_class_climbs_the_ladder_until_tier_1_lets_it_pass(house: House) -> None:
    set_policy(house)
    asked = house.ask({"kind": "class", "label": 4}, lane="fast")

    done = house.finished(asked["id"])

    assert done["status"] == "succeeded", done
    assert judged(house, done["version"])["tier"] == 1


def test_samples_climb_the_ladder_on_a_pool_that_was_rebuilt_by_itself(house: House) -> None:
    def worn() -> bool:  # every half has seen the class that was forgotten
        return "ready" not in states(house, "half")[:LONG]

    wait(worn, 30, lambda: str(house.get("/models/digits/pool")))
    wait_for_rebuilt(house)
    ids = [f"digit-{i:04d}" for i in range(500, 540) if i % 4]
    asked = house.ask({"kind": "samples", "sample_ids": ids}, lane="quality")

    done = house.finished(asked["id"])

    assert done["status"] == "succeeded", done
    assert judged(house, done["version"])["tier"] == 1


def test_a_version_is_audited_again_on_order(house: House) -> None:
    served = house.get("/models/digits/versions/active")["number"]

    ordered = house.post(f"/models/digits/versions/{served}/audit", 202, json={"tier": 0})

    job = house.finished_job(ordered["id"])
    assert (job["status"], job["result"]["version"]) == ("succeeded", served)
    assert house.get("/models/digits/audit", version=served)["assurance"] == "tier0"


def test_what_saw_forgotten_images_is_retired_and_erased(house: House) -> None:
    set_policy(house, grace_seconds=0)

    def gone() -> bool:
        found = states(house)
        return "erased" in found and "retired" not in found

    wait(gone, 90, lambda: str(house.get("/models/digits/pool")))

    assert house.get("/doctor")["references"] == []
    wait_for_rebuilt(house)

    def tidy() -> bool:  # pixels go once nothing is built any more
        found = house.get("/doctor")
        return (found["orphans"], found["missing"]) == ([], [])

    wait(tidy, 60, lambda: str(house.get("/doctor")))


def order(house: House, **body: Any) -> str:
    """Order a build; the job."""
    return str(house.post("/models/digits/pool", 202, json=body)["id"])


def set_policy(house: House, **more: Any) -> None:
    policy = {"pool": {"size": HALVES}} | more
    house.client.put("/models/digits/policy", json=policy).raise_for_status()


def states(house: House, *kinds: str) -> list[str]:
    """Of all members that the pool ever had, in the order in which they were built."""
    members = house.get("/models/digits/pool")["members"]
    return [each["state"] for each in members if not kinds or each["kind"] in kinds]


def wait_for_rebuilt(house: House) -> None:
    """Until the pool has its size, and nobody builds it any more."""

    def rebuilt() -> bool:
        pool = house.get("/models/digits/pool")
        return pool["ready"]["halves"] >= HALVES and pool["job"] is None

    wait(rebuilt, 120, lambda: str(house.get("/models/digits/pool")))


def wait_for_interim(house: House, request: str) -> Any:
    """The request, once a version is served that has forgotten what it names."""
    deadline = time.monotonic() + 60
    while True:
        state = house.get(f"/forget-requests/{request}")
        if state["interim_version"] or state["version"]:
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


def judged(house: House, number: int) -> Any:
    """The job that audited a version last."""
    jobs = house.get("/jobs", kind="audit", model="digits", page_size=200)["items"]
    mine = [job for job in jobs if job["result"] and job["result"]["version"] == number]
    assert house.get(f"/models/digits/versions/{number}")["assured"] is True
    return mine[0]["result"]
