"""Bodies and parameters that were never meant well: refused, and never an error of ours."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from world import World

DEER = {"model": "zoo", "target": {"kind": "class", "label": "deer"}}
JSON = {"Content-Type": "application/json"}


def post(door: TestClient, body: bytes | str) -> Any:
    return door.post("/forget-requests", content=body, headers=JSON)


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"", {422}),
        (b"{", {400}),
        (b"null", {422}),
        (b"[]", {422}),
        (b"\xff\xfe", {400}),
        (b"[" * 20_000, {400}),
        (b'{"a":' * 8_000 + b"1" + b"}" * 8_000, {400, 422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": NaN}}', {400, 422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": 1e999}}', {400, 422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": true}}', {422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": 1e30}}', {422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": %s}}' % (b"9" * 400), {422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": %s}}' % (b"9" * 5000), {400, 422}),
        (b'{"model": "zoo", "target": {"kind": "class", "label": "\\ud800"}}', {422}),
        (b'{"model": "\\u0000", "target": {"kind": "class", "label": 1}}', {404, 422}),
        (b'{"model": "zoo", "target": {"kind": "samples", "sample_ids": ["\\u0000"]}}', {422}),
        (b'{"model": "zoo", "target": {"kind": "samples", "sample_ids": "train"}}', {422}),
        (b'{"model": "zoo", "target": {"kind": "samples", "sample_ids": [{}]}}', {422}),
        (b" " * (1 << 17), {413}),
    ],
)
def test_a_hostile_body_is_refused(
    door: TestClient, world: World, body: bytes, statuses: set[int]
) -> None:
    answer = post(door, body)

    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", '"\\ud800"', str(2**70), "[" * 150 + "]" * 150]
)
def test_params_must_be_plain_json(door: TestClient, world: World, value: str) -> None:
    body = json.dumps({**DEER, "method": "l1_sparse", "params": {"epochs": 0}})

    answer = post(door, body.replace('"epochs": 0', f'"epochs": {value}'))

    assert answer.status_code == 422, answer.text


def test_a_million_ids_are_refused_by_their_size(door: TestClient, world: World) -> None:
    ids = [f"s{i}" for i in range(1_000_000)]

    answer = door.post(
        "/forget-requests",
        json={"model": "zoo", "target": {"kind": "samples", "sample_ids": ids}},
    )

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


def test_what_was_sent_is_not_echoed(door: TestClient, world: World) -> None:
    answer = post(door, json.dumps({**DEER, "lane": "my secret", "note": 7}))

    assert answer.status_code == 422
    assert "my secret" not in answer.text


PATHS = [
    "/jobs?status={}", "/jobs?model={}", "/jobs/{}", "/models/{}", "/models/{}/audit",
    "/models/zoo/versions/{}", "/models/zoo/versions/{}/weights", "/models/zoo/audit?version={}",
    "/datasets/{}", "/datasets/animals/samples?subject={}", "/datasets/animals/samples?split={}",
    "/datasets/animals/samples?label={}", "/datasets/animals/samples?page_token={}",
    "/forget-requests?page_token={}", "/forget-requests/{}", "/forget-requests?page_size={}",
    "/problems/{}",
]  # fmt: skip
NASTY = [
    "%00", "..%2f..%2fetc%2fpasswd", "%ff%fe", "%F0%9F%92%A9", "'%20OR%201=1--", "%252e", "-1",
    "99999999999999999999", "1e9", "NaN", "%D9%A3", "a" * 3000, "WyIxIiwiYSJd", "bnVsbA",
]  # fmt: skip


def broken_by(door: TestClient) -> list[str]:
    """Calls that ended in an error of ours."""
    calls = [path.format(value) for path in PATHS for value in NASTY]
    return [call for call in calls if door.get(call).status_code >= 500]


def test_no_parameter_breaks_a_read(door: TestClient, world: World) -> None:
    assert broken_by(door) == []


def test_no_parameter_breaks_a_read_on_postgresql(
    postgres_world: tuple[TestClient, World],
) -> None:
    assert broken_by(postgres_world[0]) == []


def test_nul_characters_do_not_break_postgresql(postgres_world: tuple[TestClient, World]) -> None:
    door, _ = postgres_world
    bodies = [
        {**DEER, "model": "\0"},
        {**DEER, "note": "\0"},
        {**DEER, "method": "l1_sparse", "params": {"epochs": "\0"}},
        {"model": "zoo", "target": {"kind": "class", "label": "\0"}},
        {"model": "zoo", "target": {"kind": "subjects", "subject_ids": ["\0"]}},
    ]

    for body in bodies:
        answer = door.post("/forget-requests", json=body)

        assert answer.status_code in (404, 422), answer.text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(["model", "target", "lane", "method", "params", "regime", "note", "x"])


@given(st.dictionaries(FIELDS, VALUES, max_size=5))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_json_breaks_the_door(door: TestClient, world: World, change: dict[str, Any]) -> None:
    answer = post(door, json.dumps({**DEER, **change}))

    assert answer.status_code < 500, answer.text
