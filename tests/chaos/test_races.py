"""Races on one row: failure modes 18, 28 and 30 to 32, on both databases."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event
from typing import TypeVar

import invariants
import pytest
from sqlalchemy import func, select
from world import CLASSES, World, samples

from app.relay import Relay
from models_store import crew, decisions, desk, outcomes, requests
from models_store.errors import InvalidTransition, LostClaim, Unavailable
from models_store.life import JobStatus, Lane, Queue, RequestStatus
from models_store.tables import ForgetRequest, Job, Model

T = TypeVar("T")
CAT = samples("train/cat/00")


@pytest.fixture(autouse=True)
def _invariants(world: World) -> Iterator[None]:
    yield
    invariants.hold(world.store)


def at_once(*calls: Callable[[], T]) -> list[T | InvalidTransition]:
    """All in the same moment; a refusal counts as an answer."""
    together = Barrier(len(calls))

    def one(call: Callable[[], T]) -> T | InvalidTransition:
        together.wait()
        try:
            return call()
        except InvalidTransition as refused:
            return refused

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_fm18_two_leaders_ring_twice_and_one_claim_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.ask(CAT)
    monkeypatch.setattr(crew, "lead", lambda *_: True)
    relays = [Relay(world.store) for _ in range(2)]

    troubles = at_once(*(relay.round for relay in relays))
    claims = at_once(*(lambda name=f"w{i}": world.claim(request.job_id, name) for i in range(4)))

    assert troubles == ["", ""]
    assert len([claim for claim in claims if claim is not None]) == 1


def test_fm28_of_thirty_two_posts_with_one_key_one_counts(world: World) -> None:
    ask = lambda: world.ask(CAT, key="k", body_digest="d").id  # noqa: E731

    ids = at_once(*[ask] * 32)

    assert len(set(ids)) == 1
    with world.store.read() as db:
        assert db.scalar(select(func.count()).select_from(ForgetRequest)) == 1


NAMES = [f"train/{name}/{i:02d}" for name in CLASSES for i in range(8)]


def work_until(done: Event, world: World) -> int:
    """What a worker does, until nothing waits any more; how many jobs that was."""
    jobs_done = 0
    while True:
        last = done.is_set()
        with world.store.read() as db:
            waiting = desk.waiting(db, list(Queue))
        for job_id in waiting:
            world.publish(*world.begin(job_id))
            jobs_done += 1
        if last and not waiting:
            return jobs_done


def patiently(call: Callable[[], T]) -> T:
    """As a caller does who is told 503: all five hundred want the same model's row."""
    while True:
        with suppress(Unavailable):
            return call()


def test_fm30_five_hundred_requests_on_one_model_share_jobs_and_all_end(world: World) -> None:
    done = Event()

    def ask(number: int) -> None:
        lane = Lane.FAST if number % 2 else Lane.QUALITY
        patiently(lambda: world.ask(samples(NAMES[number % len(NAMES)]), lane=lane))

    with ThreadPoolExecutor(5) as pool:
        worker = pool.submit(work_until, done, world)
        try:
            list(pool.map(ask, range(500)))
        finally:
            done.set()
        jobs_done = worker.result()

    with world.store.read() as db:
        ends = Counter(db.scalars(select(ForgetRequest.status)))
    assert ends == {RequestStatus.SUCCEEDED: 500}
    assert jobs_done <= len(NAMES)


@pytest.mark.parametrize("delay", range(4))
def test_fm31_cancel_and_completion_leave_one_end(world: World, delay: int) -> None:
    request = world.ask(CAT)
    claim, rung = world.begin(request.job_id)

    def cancel() -> str:
        with world.store.begin() as db:
            asked = decisions.cancel(db, requests.get(db, "me", request.id), "me")
        return "asked to stop" if asked is not None else "cancelled"

    calls = [lambda: str(world.publish(claim, rung).number), cancel]
    published, cancelled = at_once(*calls) if delay % 2 else at_once(*calls[::-1])[::-1]

    end = world.request(request.id)
    assert published == "2"
    assert end.status is RequestStatus.SUCCEEDED
    assert cancelled == "asked to stop" or isinstance(cancelled, InvalidTransition)


def test_fm31_a_cancelled_job_publishes_nothing(world: World) -> None:
    request = world.ask(CAT)
    claim, rung = world.begin(request.job_id)
    with world.store.begin() as db:
        decisions.cancel(db, requests.get(db, "me", request.id), "me")
        world_job = db.get_one(Job, request.job_id)
    from_worker(world, claim)

    with pytest.raises(LostClaim):
        world.publish(claim, rung)

    assert world_job.cancel_requested_at is not None
    assert world.request(request.id).status is RequestStatus.CANCELLED


def from_worker(world: World, claim: object) -> None:
    with world.store.begin() as db:
        outcomes.was_cancelled(db, claim)


def decide(world: World, request: ForgetRequest, how: str) -> str:
    with world.store.begin() as db:
        found = requests.get(db, "me", request.id)
        match how:
            case "approve":
                decisions.approve(db, found, "officer")
            case "deny":
                decisions.deny(db, found, "no_match", "Not ours.", "officer")
            case "cancel":
                decisions.cancel(db, found, "me")
            case _:
                decisions.retry(db, found, "me")
    return how


def test_fm32_of_approval_denial_and_withdrawal_one_wins(world: World) -> None:
    with world.store.begin() as db:
        db.get_one(Model, world.model_id).policy = {"require_approval": True}
    request = world.ask(CAT)

    answers = at_once(
        lambda: decide(world, request, "approve"), lambda: decide(world, request, "deny")
    )

    [winner] = [answer for answer in answers if isinstance(answer, str)]
    ends = {"approve": RequestStatus.QUEUED, "deny": RequestStatus.DENIED}
    assert world.request(request.id).status is ends[winner]


def test_fm32_of_two_retries_one_wins(world: World) -> None:
    request = world.ask(CAT, lane=Lane.EXACT)
    world.serve_request(request, verdict="fail")
    assert world.request(request.id).status is RequestStatus.FAILED

    answers = at_once(*[lambda: decide(world, request, "retry")] * 2)

    assert [answer for answer in answers if isinstance(answer, str)] == ["retry"]
    with world.store.read() as db:
        queued = select(func.count()).where(Job.status == JobStatus.QUEUED)
        assert db.scalar(queued) == 1
