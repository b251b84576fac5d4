"""The client is patient where that is safe, and says what went wrong where it is not."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from lethe.client import Client, Problem, Unreachable

Answer = Callable[[httpx.Request], httpx.Response]


def speaking_to(answer: Answer, patience: float = 5.0) -> Client:
    return Client(
        "http://lethe", "secret", patience=patience, transport=httpx.MockTransport(answer)
    )


def in_turn(*answers: httpx.Response | Exception) -> tuple[Answer, list[httpx.Request]]:
    """Gives these answers, the last one for ever; also what was asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = answers[min(len(asked), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return given

    return answer, asked


BUSY = httpx.Response(503, headers={"Retry-After": "0"}, json={"detail": "Away."})


def test_a_read_waits_for_a_service_that_is_away() -> None:
    answer, asked = in_turn(httpx.ConnectError("refused"), BUSY, httpx.Response(200, json={"a": 1}))

    got = speaking_to(answer).get("/stats")

    assert got == {"a": 1}
    assert len(asked) == 3
    assert asked[0].headers["Authorization"] == "Bearer secret"


def test_an_order_without_a_key_is_given_once() -> None:
    answer, asked = in_turn(BUSY, httpx.Response(200, json={}))

    with pytest.raises(Problem):
        speaking_to(answer).post("/models", {})

    assert len(asked) == 1


def test_a_forget_request_is_repeated_under_one_key() -> None:
    answer, asked = in_turn(
        httpx.ReadError("cut"), BUSY, httpx.Response(202, json={"id": "1", "status": "queued"})
    )

    speaking_to(answer).forget({"model": "digits"})

    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert len(asked) == 3


def test_patience_ends() -> None:
    answer, _ = in_turn(httpx.ConnectError("refused"))

    with pytest.raises(Unreachable, match="Nobody answers at http://lethe"):
        speaking_to(answer, patience=0.3).get("/stats")


@pytest.mark.parametrize(("status", "code"), [(404, 4), (409, 3), (422, 3), (500, 6)])
def test_a_problem_has_a_sentence_a_slug_and_an_exit_code(status: int, code: int) -> None:
    errors = [{"pointer": "/a", "detail": "first"}, {"pointer": "/b", "detail": "second"}]
    body = {"type": "/problems/validation", "detail": "/a: first.", "errors": errors}
    answer, _ = in_turn(httpx.Response(status, json=body))

    with pytest.raises(Problem) as caught:
        speaking_to(answer).get("/stats")

    assert str(caught.value) == "/a: first. /b: second."
    assert caught.value.slug == "validation"
    assert caught.value.exit_code == code


def test_an_answer_that_is_no_problem_document_is_still_a_problem() -> None:
    answer, _ = in_turn(httpx.Response(413, text="<html>"))

    with pytest.raises(Problem, match="The service answered 413"):
        speaking_to(answer).get("/stats")


def test_a_list_is_read_page_by_page() -> None:
    answer, asked = in_turn(
        httpx.Response(200, json={"items": [{"n": 1}], "next_page_token": "t"}),
        httpx.Response(200, json={"items": [{"n": 2}], "next_page_token": None}),
    )

    assert [item["n"] for item in speaking_to(answer).items("/jobs", status=None)] == [1, 2]
    assert [dict(request.url.params) for request in asked] == [{}, {"page_token": "t"}]


def test_what_has_not_changed_is_not_sent_again() -> None:
    answer, asked = in_turn(
        httpx.Response(200, json={"status": "running"}, headers={"ETag": '"1"'}),
        httpx.Response(304),
        httpx.Response(200, json={"status": "failed"}, headers={"ETag": '"2"'}),
    )

    seen = list(speaking_to(answer).follow("/jobs/1", every=0))

    assert [state["status"] for state in seen] == ["running", "running", "failed"]
    assert asked[1].headers["If-None-Match"] == '"1"'


def test_an_upload_streams_the_file_and_describes_it(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"x" * (3 << 20))
    answer, asked = in_turn(httpx.Response(202, json={"job": "1"}))

    speaking_to(answer).upload("/models/m/versions", file, {"recipe": None})

    body = asked[0].read()
    assert file.read_bytes() in body
    assert body.index(json.dumps({"recipe": None}).encode()) < body.index(file.read_bytes())
    assert asked[0].headers["Content-Length"] == str(len(body))


def test_a_broken_download_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> httpx.Response:
        def parts() -> object:
            yield b"half"
            raise httpx.ReadError("cut")

        return httpx.Response(200, content=parts())

    target = tmp_path / "weights.safetensors"

    with pytest.raises(Unreachable):
        speaking_to(lambda _: broken()).download("/w", target)
    assert not list(tmp_path.iterdir())
    speaking_to(lambda _: httpx.Response(200, content=b"whole")).download("/w", target)
    assert target.read_bytes() == b"whole"
