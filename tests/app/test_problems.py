"""Every refusal has a status, a page and a place in the API's description."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from openapi_spec_validator import validate

import app.routes  # noqa: F401 - so that every refusal there is has been defined
from app.problem_pages import PROBLEMS
from app.problems import BY_STATUS, RETRY_AFTER
from models_store.errors import Refusal
from models_store.store import Store


def kinds(of: type[Refusal] = Refusal) -> set[str]:
    found = {kind.slug for kind in of.__subclasses__()}
    return found.union(*(kinds(kind) for kind in of.__subclasses__()))


def test_every_refusal_stands_in_the_table_and_nothing_else_does() -> None:
    ours = {"validation", "internal", "method-not-allowed"}

    assert kinds() | ours == set(PROBLEMS)
    assert set(BY_STATUS.values()) | set(RETRY_AFTER) <= set(PROBLEMS)
    assert all(PROBLEMS[slug].status == status for status, slug in BY_STATUS.items())


def test_every_problem_has_a_page(door: TestClient) -> None:
    for slug, page in PROBLEMS.items():
        answer = door.get(f"/problems/{slug}")

        assert answer.status_code == 200
        assert page.title in answer.text
        assert str(page.status) in answer.text
    assert door.get("/problems/nothing").json()["type"] == "/problems/not-found"


def test_a_problem_names_the_call_and_facts_cannot_pose_as_its_status(app: FastAPI) -> None:
    @app.get("/refuse")
    def refuse() -> None:
        raise Refusals("No.", status="queued", type="mine", extra=1)

    class Refusals(Refusal):
        slug = "not-ready"

    door = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1))

    answer = door.get("/refuse", headers={"X-Request-Id": "call-7"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "call-7"
    assert answer.json() == {
        "type": "/problems/not-ready",
        "title": PROBLEMS["not-ready"].title,
        "status": 409,
        "detail": "No.",
        "instance": "/refuse",
        "request_id": "call-7",
        "extra": 1,
    }


def test_a_hostile_request_id_is_replaced(door: TestClient) -> None:
    answer = door.get("/livez", headers={"X-Request-Id": "a b<script>"})

    assert answer.headers["x-request-id"].isalnum()


def test_the_frameworks_own_refusals_are_problems_too(door: TestClient, store: Store) -> None:
    answers = {
        404: door.get("/nowhere"),
        405: door.delete("/jobs"),
        400: door.post("/forget-requests", content=b"{", headers={"Content-Type": JSON}),
        415: door.post("/forget-requests", content=b"{}", headers={"Content-Type": "text/plain"}),
        422: door.get("/jobs?page_size=many"),
    }

    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    assert answers[405].headers["allow"] == "GET"


JSON = "application/json"


def test_a_mistake_of_ours_says_nothing_of_its_inside(app: FastAPI) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the password is 1234")

    door = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)

    answer = door.get("/broken")

    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
    assert "1234" not in answer.text


def test_a_database_that_is_away_is_a_503_and_never_a_500(door: TestClient, store: Store) -> None:
    store.engine.dispose()
    database = store.settings.home / "lethe.db"
    database.unlink()
    database.mkdir()  # cannot be opened as a database

    answers = [
        door.get("/jobs"),
        door.get("/readyz"),
        door.post(
            "/forget-requests", json={"model": "zoo", "target": {"kind": "class", "label": 1}}
        ),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (
            503, "/problems/database-unavailable",
        )  # fmt: skip
        assert answer.headers["retry-after"] == "2"
    assert door.get("/livez").status_code == 200


# ---- the description of the API ------------------------------------------------------------------


def test_the_description_is_valid_openapi(door: TestClient) -> None:
    validate(door.get("/openapi.json").json())


def test_every_operation_has_a_name_a_text_and_its_problems(door: TestClient) -> None:
    document = door.get("/openapi.json").json()
    operations = [
        (path, operation)
        for path, methods in document["paths"].items()
        for operation in methods.values()
    ]

    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names) > 30
    for path, operation in operations:
        assert operation["description"], path
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_a_202_links_to_what_shows_how_it_goes_on(door: TestClient) -> None:
    document = door.get("/openapi.json").json()

    links = document["paths"]["/forget-requests"]["post"]["responses"]["202"]["links"]

    assert links == {
        "show_forget_request": {
            "operationId": "show_forget_request",
            "parameters": {"request_id": "$response.body#/id"},
        }
    }
