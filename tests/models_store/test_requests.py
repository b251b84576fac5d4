"""The life of a request in SQL, on both databases."""

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

import pytest
from sqlalchemy import select
from world import World, add_version, new_model, samples

from models_store import datasets, decisions, jobs, registry, requests, views
from models_store.claims import Signal
from models_store.errors import (
    InvalidTransition,
    KeyReused,
    NoRecipe,
    UnknownSamples,
)
from models_store.life import JobKind, JobStatus, Lane, RequestStatus
from models_store.requests import Ask
from models_store.tables import Job, Version
from models_store.targets import Target

DEER = Target("class", label="deer")


def test_a_class_request_names_its_training_samples_and_waits_in_a_job(world: World) -> None:
    request = world.ask(DEER)

    assert request.status is RequestStatus.QUEUED
    assert request.target_count == 8
    assert request.job_id is not None
    with world.store.read() as db:
        assert datasets.forgotten(db, world.dataset_id) == list(range(20, 28))


def test_unknown_samples_are_listed_and_nothing_changes(world: World) -> None:
    with pytest.raises(UnknownSamples) as refusal:
        world.ask(samples("train/cat/00", "nobody", "train/cat/99"))

    assert refusal.value.facts["unknown"] == ["nobody", "train/cat/99"]
    with world.store.read() as db:
        assert views.page(db, "me", None, 10) == []
        assert datasets.forgotten(db, world.dataset_id) == []


@pytest.mark.parametrize("label", ["dragon", 4, -1])
def test_an_unknown_class_is_refused_with_the_known_ones(world: World, label: int | str) -> None:
    with pytest.raises(UnknownSamples) as refusal:
        world.ask(Target("class", label=label))

    assert "deer" in refusal.value.facts["classes"]


def test_subjects_stand_for_all_their_samples(world: World) -> None:
    request = world.ask(Target("subjects", names=("person-0",)))

    assert request.target_count == 8  # two train images in each of four classes


def test_requests_of_one_lane_share_a_job_and_others_do_not(world: World) -> None:
    first = world.ask(samples("train/cat/00"))
    second = world.ask(samples("train/cat/01"))
    other = world.ask(samples("train/cat/02"), lane=Lane.QUALITY)

    assert first.job_id == second.job_id != other.job_id


def test_the_same_method_with_other_parameters_is_another_job(world: World) -> None:
    chosen = {"lane": None, "method": "l1_sparse"}
    jobs_of = {
        world.ask(samples(f"train/cat/0{i}"), params=params, **chosen).job_id
        for i, params in enumerate([{}, {"epochs": 2}, {"epochs": 2}])
    }

    assert len(jobs_of) == 2


def test_exact_without_a_recipe_is_refused(world: World) -> None:
    with world.store.begin() as db:
        db.get_one(Version, (world.model_id, 1)).recipe = None

    with pytest.raises(NoRecipe):
        world.ask(DEER, lane=Lane.EXACT)


def test_what_is_already_forgotten_succeeds_at_once_and_names_the_earlier_request(
    world: World,
) -> None:
    first = world.ask(DEER)
    world.serve_request(first)

    again = world.ask(samples("train/deer/00", "train/deer/03"))

    assert again.status is RequestStatus.SUCCEEDED
    assert again.version == 2
    assert again.already_forgotten["count"] == 2
    assert again.already_forgotten["requests"] == [str(first.id)]


def test_a_test_sample_is_marked_and_there_is_nothing_to_unlearn(world: World) -> None:
    request = world.ask(samples("test/cat/08"))

    assert request.status is RequestStatus.SUCCEEDED
    with world.store.read() as db:
        assert datasets.forgotten(db, world.dataset_id) == [18]


def test_the_same_key_and_body_replay_and_another_body_is_refused(world: World) -> None:
    first = world.ask(DEER, key="k", body_digest="d")
    again = world.ask(DEER, key="k", body_digest="d")

    assert first.id == again.id
    with pytest.raises(KeyReused):
        world.ask(DEER, key="k", body_digest="other")


def test_of_many_posts_with_one_key_in_the_same_moment_one_counts(world: World) -> None:
    together = Barrier(8)

    def post(_: int) -> object:
        ask = Ask(
            owner="me", key="k", body_digest="d", model="zoo", target=DEER, lane=Lane.FAST,
            method=None,
        )  # fmt: skip
        together.wait()
        with world.store.begin() as db:
            return requests.submit(db, ask).request.id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(post, range(8)))

    assert len(ids) == 1


def test_a_key_that_a_request_on_another_model_takes_in_the_same_moment_is_refused(
    world: World,
) -> None:
    with world.store.begin() as db:
        other = registry.register(db, new_model("other"), "me").id
    add_version(world.store, other)

    with ThreadPoolExecutor(1) as pool:
        with world.store.begin() as db:
            first = requests.submit(db, with_key("zoo"))
            second = pool.submit(post, world, with_key("other"))
            wait([second], timeout=0.3)  # until it waits for our row, or, on SQLite, for its turn
            assert not second.done()
        with pytest.raises(KeyReused) as refusal:
            second.result()

    assert refusal.value.facts["request"] == str(first.request.id)
    with world.store.read() as db:
        assert [view.request.id for view in views.page(db, "me", None, 10)] == [first.request.id]
        assert len(db.scalars(select(Job).where(Job.kind == JobKind.FORGET)).all()) == 1


def with_key(model: str) -> Ask:
    return Ask(
        owner="me", key="k", body_digest=model, model=model, target=DEER, lane=Lane.FAST, method=None,
    )  # fmt: skip


def post(world: World, ask: Ask) -> None:
    with world.store.begin() as db:
        requests.submit(db, ask)


def test_cancelling_a_waiting_request_leaves_the_others_in_their_job(world: World) -> None:
    first = world.ask(samples("train/cat/00"))
    second = world.ask(samples("train/cat/01"))

    with world.store.begin() as db:
        decisions.cancel(db, requests.get(db, "me", first.id), "me")

    assert world.request(first.id).status is RequestStatus.CANCELLED
    with world.store.read() as db:
        assert datasets.forgotten(db, world.dataset_id) == [11]
    _, rung = world.begin(world.request(second.id).job_id)
    assert rung.forget == [11]


def test_cancelling_the_last_waiting_request_cancels_the_job(world: World) -> None:
    request = world.ask(DEER)

    with world.store.begin() as db:
        decisions.cancel(db, requests.get(db, "me", request.id), "me")

    assert world.claim(request.job_id) is None
    with world.store.read() as db:
        assert jobs.get(db, request.job_id).status is JobStatus.CANCELLED
        assert datasets.forgotten(db, world.dataset_id) == []


def test_cancelling_a_running_request_asks_its_worker_to_stop(world: World) -> None:
    request = world.ask(DEER)
    claim, _ = world.begin(request.job_id)

    with world.store.begin() as db:
        told = decisions.cancel(db, requests.get(db, "me", request.id), "me")
    with world.store.begin() as db:
        signal = jobs.beat(db, claim, world.store.settings)

    assert isinstance(told, Job)
    assert signal is Signal.CANCEL


def test_an_ended_request_cannot_be_cancelled(world: World) -> None:
    request = world.ask(DEER)
    world.serve_request(request)

    with pytest.raises(InvalidTransition), world.store.begin() as db:
        decisions.cancel(db, requests.get(db, "me", request.id), "me")


def test_a_policy_may_ask_for_approval_first(world: World) -> None:
    with world.store.begin() as db:
        registry.get(db, "zoo").policy = {"require_approval": True}
    approved, denied = world.ask(DEER), world.ask(samples("train/cat/00"))

    with world.store.begin() as db:
        decisions.approve(db, requests.get(db, "me", approved.id), "officer")
        decisions.deny(db, requests.get(db, "me", denied.id), "no_match", "Not ours.", "officer")

    assert world.request(approved.id).status is RequestStatus.QUEUED
    assert world.request(denied.id).status is RequestStatus.DENIED
    with world.store.read() as db:
        assert datasets.forgotten(db, world.dataset_id) == list(range(20, 28))
