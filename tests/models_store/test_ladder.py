"""Jobs and rungs in SQL, on both databases: who works on what, and what comes of it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from world import World, samples

from models_store import decisions, desk, events, jobs, requests
from models_store.errors import (
    LostClaim,
)
from models_store.life import Lane, RequestStatus, VersionState
from models_store.targets import Target

DEER = Target("class", label="deer")


def test_a_passing_version_is_served_and_its_requests_succeed(world: World) -> None:
    request = world.ask(DEER)

    version = world.serve_request(request)

    assert (version.number, version.parent, version.state) == (2, 1, VersionState.ACTIVE)
    assert world.version(1).state is VersionState.SUPERSEDED
    done = world.request(request.id)
    assert (done.status, done.version) == (RequestStatus.SUCCEEDED, 2)


def test_a_failing_version_is_quarantined_and_the_next_rung_follows(world: World) -> None:
    request = world.ask(DEER)

    world.serve_request(request, verdict="fail")

    assert world.version(2).state is VersionState.QUARANTINED
    assert world.version(1).state is VersionState.ACTIVE
    waiting = world.request(request.id)
    assert waiting.status is RequestStatus.RUNNING
    claim, rung = world.begin(waiting.job_id)
    assert (rung.lane, rung.method, rung.base) == (Lane.QUALITY, "boundary_shrink", 1)
    assert claim.job_id != request.job_id


def test_the_ladder_ends_with_the_request_failed_and_a_retry_begins_again(world: World) -> None:
    request = world.ask(DEER)
    for _ in Lane:
        world.serve_request(request, verdict="fail")
    failed = world.request(request.id)

    with world.store.begin() as db:
        decisions.retry(db, requests.get(db, "me", request.id), "me")

    assert failed.failure is not None
    assert failed.failure["code"] == "audit_failed"
    assert world.request(request.id).status is RequestStatus.QUEUED
    world.serve_request(request)
    assert world.request(request.id).status is RequestStatus.SUCCEEDED


def test_an_inconclusive_version_is_served_provisionally_while_the_ladder_goes_on(
    world: World,
) -> None:
    request = world.ask(DEER)

    version = world.serve_request(request, verdict="inconclusive")

    assert version.state is VersionState.PROVISIONAL
    waiting = world.request(request.id)
    assert (waiting.status, waiting.interim_version) == (RequestStatus.RUNNING, 2)
    _, rung = world.begin(waiting.job_id)
    assert rung.base == 1  # a later rung starts from the last version that passed its gates


def test_a_later_rung_carries_what_the_served_version_has_forgotten(world: World) -> None:
    first = world.ask(DEER)
    world.serve_request(first, verdict="inconclusive")
    second = world.ask(samples("train/cat/00"), lane=Lane.QUALITY)

    _, rung = world.begin(world.request(second.id).job_id)

    assert rung.forget == [10, *range(20, 28)]
    assert rung.method == "l1_sparse"  # a union of both kinds


def test_forgotten_samples_are_in_no_later_retain_set(world: World) -> None:
    world.serve_request(world.ask(DEER))
    other = world.ask(samples("train/cat/00"))

    _, rung = world.begin(world.request(other.id).job_id)

    assert rung.base == 2
    assert rung.forget == [10]
    assert set(range(20, 28)) <= set(rung.forgotten)


def test_one_job_of_a_model_runs_and_the_next_waits(world: World) -> None:
    fast = world.ask(samples("train/cat/00"))
    slow = world.ask(samples("train/cat/01"), lane=Lane.QUALITY)
    claim, rung = world.begin(fast.job_id)

    assert world.claim(slow.job_id) is None
    world.publish(claim, rung)
    assert world.claim(slow.job_id) is not None


def test_of_many_claims_one_wins(world: World) -> None:
    request = world.ask(DEER)
    together = Barrier(6)

    def claim(number: int) -> object:
        together.wait()
        return world.claim(request.job_id, f"worker-{number}")

    with ThreadPoolExecutor(6) as pool:
        won = [claim for claim in pool.map(claim, range(6)) if claim is not None]

    assert len(won) == 1


def test_an_attempt_that_lost_its_lease_cannot_publish(world: World) -> None:
    request = world.ask(DEER)
    claim, rung = world.begin(request.job_id)
    with world.store.begin() as db:
        jobs.give_back(db, claim, "lost")
    second, again = world.begin(request.job_id)

    with pytest.raises(LostClaim):
        world.publish(claim, rung)

    assert world.publish(second, again).number == rung.number
    with world.store.read() as db:
        assert desk.lost(db) == []


def test_the_chain_of_events_holds_and_tells_each_step(world: World) -> None:
    request = world.ask(DEER)
    world.serve_request(request)

    with world.store.read() as db:
        chain = events.verify(db, world.model_id)
        told = [event.type for event in events.of_request(db, request.id)]

    assert chain.valid
    assert told == [
        "request.accepted",
        "request.queued",
        "request.running",
        "request.succeeded",
    ]
