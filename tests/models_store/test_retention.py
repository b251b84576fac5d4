"""Nothing remembers: old versions are revoked, then erased; pixels and identifiers follow."""

import pytest
from sqlalchemy import select
from world import World, samples

from models_store import doctor, erasure, registry, retention, versions
from models_store.errors import RemembersErased, VersionRevoked
from models_store.life import JobKind, Lane, RequestStatus, VersionState
from models_store.tables import Blob, Job, Model, Sample, Shard, Tombstone, Version
from models_store.targets import Target

DEER = Target("class", label="deer")


@pytest.fixture
def graceless(world: World) -> World:
    """Versions that remember are revoked as soon as they are superseded."""
    with world.store.begin() as db:
        db.get_one(Model, world.model_id).policy = {"grace_seconds": 0}
    return world


def tend(world: World) -> Job | None:
    with world.store.begin() as db:
        return retention.tend(db, world.model_id)


def test_within_its_grace_an_old_version_may_still_be_had(world: World) -> None:
    world.serve_request(world.ask(DEER))

    tend(world)

    assert world.version(1).state is VersionState.SUPERSEDED
    with world.store.read() as db:
        assert versions.downloadable(db, versions.get(db, world.model_id, "1")).number == 1


def test_after_its_grace_it_is_revoked_and_one_job_is_opened_to_erase_it(
    graceless: World,
) -> None:
    graceless.serve_request(graceless.ask(DEER))

    first, second = tend(graceless), tend(graceless)

    assert first is not None
    assert first.kind is JobKind.ERASE
    assert second is None
    assert graceless.version(1).state is VersionState.REVOKED
    with graceless.store.read() as db, pytest.raises(VersionRevoked) as refusal:
        versions.downloadable(db, versions.get(db, graceless.model_id, "1"))
    assert refusal.value.facts["successor"] == 2


def test_a_base_stays_while_a_rung_may_start_from_it(graceless: World) -> None:
    request = graceless.ask(DEER)
    graceless.serve_request(request, verdict="inconclusive")

    tend(graceless)
    between = graceless.version(1).state
    _, rung = graceless.begin(graceless.request(request.id).job_id)
    tend(graceless)

    assert rung.base == 1
    assert between is graceless.version(1).state is VersionState.SUPERSEDED


def test_a_version_that_is_erased_leaves_a_tombstone_for_each_of_its_files(
    graceless: World,
) -> None:
    graceless.serve_request(graceless.ask(DEER))
    tend(graceless)
    digest, size = graceless.version(1).digest, graceless.version(1).size

    with graceless.store.begin() as db:
        gone = erasure.erase_version(db, versions.get(db, graceless.model_id, "1"))

    assert gone == [digest]
    assert graceless.version(1).state is VersionState.ERASED
    with graceless.store.read() as db:
        [stone] = db.scalars(select(Tombstone))
        assert (stone.digest, stone.size, stone.what, stone.number) == (digest, size, "weights", 1)
        assert db.get(Blob, digest) is None
        model = db.get_one(Model, graceless.model_id)
        assert erasure.left_behind(db, model) == [digest]


def test_bytes_that_another_version_shares_are_not_dropped(graceless: World) -> None:
    graceless.serve_request(graceless.ask(DEER))
    tend(graceless)
    with graceless.store.begin() as db:
        old, new = (db.get_one(Version, (graceless.model_id, n)) for n in (1, 2))
        new.digest = old.digest

    with graceless.store.begin() as db:
        gone = erasure.erase_version(db, versions.get(db, graceless.model_id, "1"))

    assert gone == []
    with graceless.store.read() as db:
        assert db.get(Blob, graceless.version(2).digest) is not None


def test_rollback_to_a_version_that_remembers_is_refused_with_a_clean_one(world: World) -> None:
    request = world.ask(DEER)
    world.serve_request(request)

    with pytest.raises(RemembersErased) as refusal, world.store.begin() as db:
        versions.promote(db, registry.get(db, "zoo"), versions.get(db, world.model_id, "1"), "me")

    assert refusal.value.facts == {"requests": [str(request.id)], "newest_clean": 2}
    assert world.version(2).state is VersionState.ACTIVE


def test_pixels_are_kept_while_a_request_or_a_job_still_needs_them(world: World) -> None:
    def erasable() -> list[int]:
        with world.store.read() as db:
            return retention.erasable_rows(db, world.dataset_id)

    cat = samples("train/cat/00")
    first = world.ask(cat)
    before = erasable()
    world.serve_request(first)
    after = erasable()
    other = world.ask(samples("train/cat/01"), lane=Lane.QUALITY)
    while_a_job_waits = erasable()
    world.serve_request(other)

    assert (before, after, while_a_job_waits, erasable()) == ([], [10], [], [10, 11])


def test_an_erased_identifier_is_still_understood_and_can_no_longer_be_read(
    world: World,
) -> None:
    request = world.ask(samples("train/cat/00"))
    world.serve_request(request)
    with world.store.begin() as db:
        shard = db.scalars(select(Shard)).one()
        kept = Blob(digest="b" * 64, size=1, media_type="shard")
        old = erasure.replace_shard(db, shard, kept, [10])

    again = world.ask(samples("train/cat/00", "train/cat/01"))

    assert old == "a" * 64
    assert (again.target_count, again.already_forgotten["count"]) == (2, 1)
    assert again.status is RequestStatus.QUEUED
    person = world.ask(Target("subjects", names=("person-0",)))
    assert person.target_count == 8
    with world.store.read() as db:
        row = db.scalars(select(Sample).where(Sample.position == 10)).one()
        assert row.erased_at is not None
        assert "cat" not in row.sample_id
        assert row.subject != "person-0"
        assert retention.erasable_rows(db, world.dataset_id) == []


def test_the_doctor_names_what_no_row_owns_what_is_missing_and_what_remembers(
    world: World,
) -> None:
    world.store.blobs.put(b"nobody's")
    world.serve_request(world.ask(DEER))
    missing = world.store.blobs.path(world.version(2).digest)
    missing.unlink()

    with world.store.read() as db:
        found = doctor.examine(db, world.store.blobs)

    assert len(found.orphans) == 1
    assert found.missing == sorted([missing.name, "a" * 64])
    assert [(one["number"], one["state"]) for one in found.remembering] == [(1, "superseded")]
