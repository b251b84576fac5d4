"""The main job with real processes over sockets, in both modes."""

import hashlib
import json
from statistics import median
from typing import Any

import pytest
from house import KEY, PATIENCE, House, wait
from safetensors.numpy import load


def test_a_class_is_forgotten_and_the_new_version_is_served_with_its_audit(house: House) -> None:
    asked = house.ask({"kind": "class", "label": 4}, lane="fast")
    done = house.finished(asked["id"])

    assert done["status"] == "succeeded", done
    version = house.get(f"/models/digits/versions/{done['version']}")
    assert version["state"] in {"active", "superseded"}
    audit = house.get("/models/digits/audit", version=done["version"])
    assert audit["verdict"] == "pass"
    accuracy = {test["test"]: test for test in audit["tests"]}["accuracy.d_f"]
    assert accuracy["estimate"] < 0.05 < accuracy["before"]


def test_single_samples_are_forgotten_in_the_quality_lane(house: House) -> None:
    ids = [f"digit-{i:04d}" for i in range(300, 340) if i % 4]
    asked = house.ask({"kind": "samples", "sample_ids": ids}, lane="quality")
    done = house.finished(asked["id"])

    assert done["status"] == "succeeded", done
    assert done["target_count"] == len(ids)
    job = house.get(f"/jobs/{done['job']}")
    assert job["progress"] is not None
    assert {sample["sample_id"] for sample in forgotten(house)} >= set(ids)


def test_a_subject_stands_for_all_of_a_persons_samples(house: House) -> None:
    asked = house.ask({"kind": "subjects", "subject_ids": ["person-150"]}, lane="quality")
    done = house.finished(asked["id"])

    assert (done["status"], done["target_count"]) == ("succeeded", 3)


def test_an_explicit_method_runs_alone_with_its_parameters(house: House) -> None:
    target = {"kind": "samples", "sample_ids": ["digit-0201", "digit-0202"]}
    asked = house.ask(target, method="retrain", params={})
    done = house.finished(asked["id"])

    assert done["status"] == "succeeded", done
    assert house.get(f"/models/digits/versions/{done['version']}")["method"] == "retrain"


def test_what_a_job_takes_is_foretold_and_learned_from(house: House) -> None:
    how = {"model": "digits", "method": "l1_sparse", "params": {"epochs": 2}}
    target = {"kind": "samples", "sample_ids": ["digit-0401", "digit-0402"]}

    (plan,) = house.post("/forget-requests?dry_run=true", 200, json=how | {"target": target})[
        "rungs"
    ]
    before = l1_sparse_jobs(house)
    job = house.finished_job(house.ask(target, **how)["job"])

    assert plan["prediction"]["seconds"] > plan["prediction"]["unlearning_seconds"] > 0
    assert job["result"]["seconds"] > job["result"]["rte_seconds"] > 0
    rates = [each["result"]["rte_seconds"] / counted(each) for each in before]
    foretold = job["prediction"]["unlearning_seconds"] / counted(job)
    assert not rates or foretold == pytest.approx(median(rates[:9]), rel=0.05)
    assert job["id"] in [each["id"] for each in l1_sparse_jobs(house)]
    assert house.get("/stats")["prediction_error"] is not None


def l1_sparse_jobs(house: House) -> list[Any]:
    """Those that ended at their first attempt, newest first."""
    jobs = house.get("/jobs", kind="forget", status="succeeded", page_size=200)["items"]
    return [job for job in jobs if job["method"] == "l1_sparse" and job["attempt"] == 1]


def counted(job: Any) -> float:
    """The work of a job's method, in 10^9 multiply-accumulates."""
    return float(job["prediction"]["work"]["unlearning"])


def test_parameters_that_do_not_fit_are_refused_with_their_place(house: House) -> None:
    body = {"model": "digits", "target": {"kind": "class", "label": 1}, "method": "l1_sparse"}

    answer = house.client.post("/forget-requests", json=body | {"params": {"epochs": 0}})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["at"] == "$.epochs"


def test_the_weights_that_are_downloaded_are_those_that_were_published(house: House) -> None:
    version = house.get("/models/digits/versions/active")

    answer = house.client.get("/models/digits/versions/active/weights")

    assert hashlib.sha256(answer.content).hexdigest() == version["digest"]
    assert load(answer.content)
    part = house.client.get(
        "/models/digits/versions/active/weights", headers={"Range": "bytes=0-7"}
    )
    assert (part.status_code, part.content) == (206, answer.content[:8])


def test_uploaded_weights_are_checked_audited_and_then_served(house: House) -> None:
    weights = house.client.get("/models/digits/versions/1/weights")
    if weights.status_code == 410:  # an erase job was quicker: take what is served
        weights = house.client.get("/models/digits/versions/active/weights")
    copy = {"name": "copy", "architecture": "small_cnn", "parameters": {"filters": 16},
            "dataset": "digits", "mean": [0.5], "std": [0.5]}  # fmt: skip
    house.client.post("/models", json=copy)

    job = house.finished_job(upload(house, "copy", weights.content)["job"])

    assert job["status"] == "succeeded", job
    assert house.get("/models/copy/versions/active")["method"] == "import"


def test_weights_of_another_shape_are_quarantined_with_the_reason(house: House) -> None:
    weights = house.client.get("/models/digits/versions/active/weights").content
    wide = {"name": "wide", "architecture": "small_cnn", "parameters": {"filters": 32},
            "dataset": "digits", "mean": [0.5], "std": [0.5]}  # fmt: skip
    house.client.post("/models", json=wide)

    job = house.finished_job(upload(house, "wide", weights)["job"])

    assert job["status"] == "failed"
    assert job["failure"]["code"] == "unfit_weights"
    assert "not 32" in job["failure"]["detail"]


def test_a_running_request_can_be_cancelled(house: House) -> None:
    slow = {"name": "slow", "architecture": "small_cnn", "parameters": {"filters": 16},
            "dataset": "digits", "mean": [0.5], "std": [0.5]}  # fmt: skip
    house.client.post("/models", json=slow)
    weights = house.client.get("/models/digits/versions/active/weights").content
    house.finished_job(upload(house, "slow", weights)["job"])
    asked = house.post(
        "/forget-requests", 202,
        json={"model": "slow", "target": {"kind": "class", "label": 2},
              "method": "l1_sparse", "params": {"epochs": 100_000}},
    )  # fmt: skip
    path = f"/forget-requests/{asked['id']}"
    wait(lambda: house.get(path)["phase"] == "unlearning", PATIENCE, lambda: str(house.get(path)))

    house.client.post(f"/forget-requests/{asked['id']}/cancel").raise_for_status()

    assert house.finished(asked["id"])["status"] == "cancelled"
    assert house.get("/models/slow/versions/active")["number"] == 1


def test_pollers_are_answered_by_304_and_the_chain_verifies(house: House) -> None:
    path = "/models/digits/versions/active"
    tag = house.client.get(path).headers["etag"]

    again = house.client.get(path, headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert house.get("/models/digits/audit/verify")["valid"] is True


def test_the_report_is_a_page_for_people(house: House) -> None:
    answer = house.client.get("/models/digits/audit", headers={"Accept": "text/html"})

    assert answer.headers["content-type"].startswith("text/html")
    assert "<svg" in answer.text
    assert "http://" not in answer.text.replace("http://www.w3.org", "")


def test_without_a_key_only_the_house_itself_answers(house: House) -> None:
    bare = {"Authorization": ""}

    assert house.client.get("/livez", headers=bare).status_code == 200
    assert house.client.get("/models", headers=bare).status_code == 401
    assert (
        house.client.get("/models", headers={"Authorization": f"Bearer {KEY}x"}).status_code == 401
    )


def upload(house: House, model: str, weights: bytes) -> Any:
    """Send weights that were trained on the train split."""
    meta = (None, json.dumps({"trained_on": {"splits": ["train"]}}), "application/json")
    file = ("weights.safetensors", weights, "application/octet-stream")
    parts = [("meta", meta), ("file", file)]
    return house.post(f"/models/{model}/versions", 202, files=parts)


def forgotten(house: House) -> list[dict[str, object]]:
    """All forgotten samples of the dataset."""
    dataset = house.get("/datasets/digits")["id"]
    items, token = [], None
    while True:
        more = {"page_token": token} if token else {}
        page = house.get(f"/datasets/{dataset}/samples", forgotten=True, page_size=200, **more)
        items += page["items"]
        token = page["next_page_token"]
        if not token:
            return items
