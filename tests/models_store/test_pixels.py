"""Pixels go last: while anything could still need them to forget by, they stay."""

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from world import World, add_version, new_model, report, samples

from models_store import (
    doctor,
    erasure,
    intake,
    lineage,
    offers,
    outcomes,
    registry,
    retention,
    versions,
)
from models_store.intake import Origin
from models_store.life import Lane, RequestStatus, VersionState
from models_store.offers import Ability
from models_store.tables import Blob, Model, Sample, Shard, Version
from models_store.targets import Target

CAT = samples("train/cat/00")


def erasable(world: World) -> list[int]:
    with world.store.read() as db:
        return retention.erasable_rows(db, world.dataset_id)


def erase_versions(world: World, model_id: UUID) -> None:
    """What upkeep and its job do once the grace of a model is over."""
    with world.store.begin() as db:
        db.get_one(Model, model_id).policy = {"grace_seconds": 0}
        retention.tend(db, model_id)
    with world.store.begin() as db:
        for version in retention.erasable_versions(db, db.get_one(Model, model_id)):
            erasure.erase_version(db, version)


def overwrite(world: World, rows: list[int]) -> list[str]:
    with world.store.begin() as db:
        kept = Blob(digest="b" * 64, size=1, media_type="shard")
        return erasure.replace_shard(db, db.scalars(select(Shard)).one(), kept, rows)


@pytest.fixture
def twin(world: World) -> UUID:
    """Another model, trained on the same images."""
    with world.store.begin() as db:
        model = registry.register(db, new_model("twin"), "me")
    add_version(world.store, model.id)
    return model.id


def test_pixels_wait_for_the_request_and_for_every_version_that_keeps_them(world: World) -> None:
    request = world.ask(CAT)
    before = erasable(world)
    world.serve_request(request)
    in_grace = erasable(world)

    erase_versions(world, world.model_id)

    assert world.version(1).state is VersionState.ERASED
    assert (before, in_grace, erasable(world)) == ([], [], [10])


def test_pixels_wait_for_another_model_that_was_asked_and_has_not_forgotten_yet(
    world: World, twin: UUID
) -> None:
    world.serve_request(world.ask(CAT))
    erase_versions(world, world.model_id)
    request = world.ask(CAT, model="twin", lane=Lane.QUALITY)
    waiting = erasable(world)
    world.serve_request(request, verdict="inconclusive")
    between_rungs = erasable(world)
    world.serve_request(request)
    in_grace = erasable(world)

    erase_versions(world, twin)

    assert (waiting, between_rungs, in_grace, erasable(world)) == ([], [], [], [10])


def test_pixels_wait_for_a_model_that_nobody_has_asked_and_the_doctor_names_it(
    world: World, twin: UUID
) -> None:
    request = world.ask(CAT)
    world.serve_request(request)
    erase_versions(world, world.model_id)

    with world.store.read() as db:
        found = doctor.examine(db, world.store.blobs)

    assert erasable(world) == []
    [keeper] = found.remembering
    assert (keeper["model"], keeper["number"], keeper["requests"]) == ("twin", 1, [])
    assert keeper["elsewhere"] == [str(request.id)]
    world.serve_request(world.ask(CAT, model="twin"))
    erase_versions(world, twin)
    assert erasable(world) == [10]


def test_pixels_wait_for_a_request_that_failed_until_another_makes_it_good(
    world: World, twin: UUID
) -> None:
    world.serve_request(world.ask(CAT))
    failed = world.ask(CAT, model="twin", lane=Lane.EXACT)
    world.serve_request(failed, verdict="fail")
    for model in (world.model_id, twin):
        erase_versions(world, model)
    unmet = erasable(world)

    world.serve_request(world.ask(CAT, model="twin"))
    erase_versions(world, twin)

    assert world.request(failed.id).status is RequestStatus.FAILED
    assert (unmet, erasable(world)) == ([], [10])


def test_pixels_wait_for_a_version_that_failed_its_audit(world: World) -> None:
    request = world.ask(CAT)
    world.serve_request(request, verdict="fail")
    world.serve_request(request)
    with world.store.begin() as db:
        versions.revoke(db, db.get_one(Model, world.model_id), world_version(db, world, 1), "me")
        erasure.erase_version(db, world_version(db, world, 1))
    kept_by_the_failed_one = erasable(world)

    erase_versions(world, world.model_id)

    assert world.version(2).state is VersionState.ERASED
    assert (kept_by_the_failed_one, erasable(world)) == ([], [10])


def world_version(db: Session, world: World, number: int) -> Version:
    return db.get_one(Version, (world.model_id, number))


def test_pixels_wait_for_a_job_that_may_look_at_any_of_them_and_not_for_other_requests(
    world: World,
) -> None:
    world.serve_request(world.ask(CAT))
    erase_versions(world, world.model_id)
    world.ask(samples("train/cat/01"))
    while_another_request_waits = erasable(world)

    with world.store.begin() as db:
        offers.advertise(db, [Ability("recipe", "default", "How.", {"type": "object"}, {})])
        intake.open_training(db, db.get_one(Model, world.model_id), {}, None, "me")

    assert (while_another_request_waits, erasable(world)) == ([10], [])


def test_two_requests_for_one_image_are_both_met_by_the_version_that_forgot_it(
    world: World,
) -> None:
    world.serve_request(world.ask(CAT))
    again = world.ask(CAT)

    with world.store.read() as db:
        assert lineage.remembered(db, world_version(db, world, 2)) == []
    assert again.status is RequestStatus.SUCCEEDED


def test_uploaded_weights_that_know_erased_images_are_not_served(world: World, twin: UUID) -> None:
    for model, name in ((world.model_id, "zoo"), (twin, "twin")):
        world.serve_request(world.ask(CAT, model=name))
        erase_versions(world, model)
    overwrite(world, erasable(world))
    with world.store.begin() as db:
        late = registry.register(db, new_model("late"), "me")
        kept = world.store.blobs.put(b"trained before")
        version, job = intake.register_version(db, late, kept, Origin(splits=("train",)), "me")

    claim = world.claim(job.id)
    assert claim is not None
    with world.store.begin() as db:
        first = outcomes.publish_first(db, claim, version.number, None, report())

    assert first.state is VersionState.QUARANTINED


def test_an_erased_identifier_is_still_understood_and_can_no_longer_be_read(
    world: World,
) -> None:
    request = world.ask(samples("train/cat/00"))
    world.serve_request(request)
    old = overwrite(world, [10])

    again = world.ask(samples("train/cat/00", "train/cat/01"))

    assert old == ["a" * 64]
    assert (again.target_count, again.already_forgotten["count"]) == (2, 1)
    assert again.status is RequestStatus.QUEUED
    person = world.ask(Target("subjects", names=("person-0",)))
    assert person.target_count == 8
    with world.store.read() as db:
        row = db.scalars(select(Sample).where(Sample.position == 10)).one()
        assert row.erased_at is not None
        assert "cat" not in row.sample_id
        assert row.subject != "person-0"
    assert erasable(world) == []
