"""The ladder where tier 1 decides: served after tier 0, judged by an audit of its own."""

import pytest
from world import World, report, samples

from models_store import decisions, desk, outcomes, registry, requests, retention, reviews
from models_store.errors import InvalidTransition
from models_store.life import JobKind, JobStatus, Lane, Queue, RequestStatus, VersionState
from models_store.tables import Job, Model, Version
from models_store.targets import Target

DEER = Target("class", label="deer")


@pytest.fixture
def strict(world: World) -> World:
    """The same world, whose model asks for tier 1."""
    with world.store.begin() as db:
        db.get_one(Model, world.model_id).policy = {"assurance": "tier1"}
    return world


def job_of(world: World, request_id: object) -> Job:
    with world.store.read() as db:
        return db.get_one(Job, world.request(request_id).job_id)  # type: ignore[arg-type]


def test_what_passes_tier_0_is_served_at_once_and_waits_for_tier_1(strict: World) -> None:
    request = strict.ask(DEER)

    version = strict.serve_request(request)

    waiting, job = strict.request(request.id), job_of(strict, request.id)
    assert (version.state, version.assured) == (VersionState.PROVISIONAL, False)
    assert (waiting.status, waiting.interim_version) == (RequestStatus.RUNNING, 2)
    assert (job.kind, job.queue, job.task) == (
        JobKind.AUDIT,
        Queue.QUALITY,
        {"number": 2, "tier": 1},
    )
    assert (job.base_version, job.follows) == (1, request.job_id)


def test_a_pass_in_tier_1_ends_the_request(strict: World) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)

    version = strict.judge(request, "pass")

    done = strict.request(request.id)
    assert (version.state, version.assured) == (VersionState.ACTIVE, True)
    assert (done.status, done.version) == (RequestStatus.SUCCEEDED, 2)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_anything_else_leaves_the_version_served_and_the_request_climbs(
    strict: World, verdict: str
) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)

    version = strict.judge(request, verdict)

    assert (version.state, version.assured) == (VersionState.PROVISIONAL, False)
    assert strict.request(request.id).status is RequestStatus.RUNNING
    _, rung = strict.begin(strict.request(request.id).job_id)
    assert (rung.lane, rung.base) == (Lane.QUALITY, 1)


def test_an_exact_method_is_not_held_back_by_too_few_images_but_by_a_failure(
    strict: World,
) -> None:
    for name, verdict in (("00", "inconclusive"), ("01", "fail")):
        request = strict.ask(samples(f"train/cat/{name}"), lane=Lane.EXACT)
        strict.serve_request(request, verdict="inconclusive")
        strict.judge(request, verdict)
        ended = strict.request(request.id)
        assert ended.status is (
            RequestStatus.SUCCEEDED if verdict == "inconclusive" else RequestStatus.FAILED
        )

    assert ended.failure is not None
    assert (ended.failure["code"], ended.interim_version) == ("audit_failed", 3)


def test_what_fails_tier_0_is_quarantined_and_no_audit_follows(strict: World) -> None:
    request = strict.ask(DEER)

    version = strict.serve_request(request, verdict="fail")

    assert version.state is VersionState.QUARANTINED
    assert job_of(strict, request.id).kind is JobKind.FORGET


def test_attempts_at_a_tier_are_counted_along_the_ladder(strict: World) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)
    strict.judge(request, "fail")
    strict.serve_request(request)

    claim = strict.claim(strict.request(request.id).job_id)
    assert claim is not None
    with strict.store.read() as db:
        review = reviews.begin(db, claim)

    assert (review.tier, review.attempt) == (1, 2)
    assert review.rung.forget == list(range(20, 28))


def test_a_request_may_be_withdrawn_while_its_version_is_judged(strict: World) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)

    with strict.store.begin() as db:
        decisions.cancel(db, requests.get(db, "me", request.id), "me")

    assert strict.request(request.id).status is RequestStatus.CANCELLED
    assert job_of(strict, request.id).status is JobStatus.CANCELLED


def test_an_audit_that_breaks_down_for_good_is_told_to_the_request(strict: World) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)
    claim = strict.claim(strict.request(request.id).job_id)
    assert claim is not None

    failure = {"code": "internal", "detail": "It broke.", "retryable": False}
    with strict.store.begin() as db:
        assert not outcomes.broke_down(db, claim, failure, 3)

    failed = strict.request(request.id)
    assert (failed.status, failed.interim_version) == (RequestStatus.FAILED, 2)


def test_a_version_that_an_audit_compares_is_not_erased(strict: World) -> None:
    with strict.store.begin() as db:
        db.get_one(Model, strict.model_id).policy = {"assurance": "tier1", "grace_seconds": 0}
    request = strict.ask(DEER)
    strict.serve_request(request)

    with strict.store.begin() as db:
        retention.tend(db, strict.model_id)
        base = db.get_one(Version, (strict.model_id, 1))
        before = retention.erasable_versions(db, registry.locked(db, strict.model_id))
    strict.judge(request, "pass")
    with strict.store.begin() as db:
        retention.tend(db, strict.model_id)

    assert (base.state, before) == (VersionState.SUPERSEDED, [])
    assert strict.version(1).state is VersionState.REVOKED


def test_a_failed_audit_on_order_takes_the_assurance_but_not_the_version(strict: World) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)
    strict.judge(request, "pass")

    with strict.store.begin() as db:
        model = registry.get(db, "zoo")
        job = reviews.order(db, model, db.get_one(Version, (model.id, 2)), None, "me")
    claim = strict.claim(job.id)
    assert claim is not None
    with strict.store.begin() as db:
        review = reviews.begin(db, claim)
        reviews.publish(db, claim, review, report("fail", review.tier))

    assert review.attempt == 2
    assert (strict.version(2).state, strict.version(2).assured) == (VersionState.ACTIVE, False)
    assert strict.request(request.id).status is RequestStatus.SUCCEEDED
    with strict.store.read() as db:
        assert desk.lost(db) == []


def test_what_cannot_be_compared_any_more_is_not_audited(strict: World) -> None:
    request = strict.ask(DEER)
    strict.serve_request(request)
    strict.judge(request, "pass")
    with strict.store.begin() as db:
        db.get_one(Version, (strict.model_id, 1)).state = VersionState.ERASED

    with (
        pytest.raises(InvalidTransition, match="version 1 have been erased"),
        strict.store.begin() as db,
    ):
        reviews.order(db, registry.get(db, "zoo"), strict.version(2), 1, "me")
