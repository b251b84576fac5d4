"""What the hand shows, on a terminal, in a pipe and as JSON."""

import io
import json
from collections.abc import Iterator

import httpx
import pytest
import typer
from rich.console import Console

from lethe import report
from lethe.client import Client
from lethe.screen import Failed, Hand, pairs

JOB = {"method": "boundary_shrink", "phase": "unlearning", "progress": {"percent": 40.0}}
REPORT = {
    "verdict": "fail",
    "assurance": "tier0",
    "headline": "Failed, for obvious failures.",
    "statement": {"dpo": "1 of 1 checks failed."},
    "models": {"name": "digits", "after": {"number": 2, "method": "l1_sparse"}},
    "tests": [
        {"test": "cost", "n": 0, "unit": "s", "estimate": 2.5, "verdict": None},
        {"test": "destination", "n": 9, "unit": "", "estimate": None, "verdict": None},
        {"test": "forgetting", "n": 9, "unit": "share", "estimate": 0.5, "verdict": "fail"},
    ],
}
for test in REPORT["tests"]:
    test |= {"before": None, "low": None, "high": None}


def holding(*states: dict[str, object], terminal: bool = False, as_json: bool = False) -> Hand:
    """A hand whose request stands like this, look after look."""
    told: Iterator[dict[str, object]] = iter(states)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/jobs"):
            return httpx.Response(200, json={"status": "running", **JOB})
        return httpx.Response(200, json=next(told))

    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    client = Client("http://lethe", transport=httpx.MockTransport(answer))
    return Hand(client, as_json=as_json, console=console)


def shown(held: Hand) -> str:
    assert isinstance(held.console.file, io.StringIO)
    return held.console.file.getvalue()


RUNNING = {"status": "running", "job": "7"}
DONE = {"status": "succeeded", "job": "7"}


def test_in_a_pipe_every_change_is_one_plain_line() -> None:
    held = holding({"status": "queued", "job": "7"}, RUNNING, DONE)

    held.watch("/forget-requests/1", "Request")

    assert shown(held).splitlines() == [
        "Request: queued",
        "Request: unlearning by boundary_shrink",
        "Request: succeeded",
    ]


def test_a_terminal_shows_what_runs_and_how_far_it_is() -> None:
    held = holding(RUNNING, DONE, terminal=True)

    held.watch("/forget-requests/1", "Request")

    assert "unlearning by boundary_shrink" in shown(held)
    assert "succeeded" in shown(held)


@pytest.mark.parametrize("status", ["failed", "cancelled", "denied"])
def test_what_ends_badly_says_why(status: str) -> None:
    failure = {"code": "audit_failed", "detail": "No rung passed.", "retryable": True}

    with pytest.raises(Failed, match=f"Request: {status}. No rung passed."):
        holding({"status": status, "failure": failure}).watch("/forget-requests/1", "Request")


def test_json_leaves_standard_output_to_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    held = holding(RUNNING, DONE, as_json=True)

    held.show(held.watch("/forget-requests/1", "Request"))

    assert json.loads(capsys.readouterr().out) == DONE
    assert not shown(held)


def test_gates_come_first_and_numbers_carry_their_unit() -> None:
    held = holding()

    report.show(held, REPORT)

    lines = shown(held).splitlines()
    assert lines[0] == "digits version 2 (l1_sparse): Failed, for obvious failures."
    assert [line.split()[0] for line in lines[3:]] == ["forgetting", "cost"]
    assert "50.0%" in lines[3]
    assert "2.5 s" in lines[4]


def test_values_are_json_where_they_can_be() -> None:
    given = ["epochs=3", "schedule=cosine", "rate=0.1", "on=true", "name=a=b"]

    assert pairs(given) == {
        "epochs": 3,
        "schedule": "cosine",
        "rate": 0.1,
        "on": True,
        "name": "a=b",
    }
    with pytest.raises(typer.BadParameter, match="'epochs'"):
        pairs(["epochs"])
