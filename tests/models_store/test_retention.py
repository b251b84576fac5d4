"""Nothing remembers: old versions are revoked, then erased; pixels and identifiers follow."""

from uuid import UUID

import pytest
from sqlalchemy import select
from world import World

from models_store import (
    doctor,
    erasure,
    registry,
    retention,
    versions,
)
from models_store.errors import RemembersErased, VersionRevoked
from models_store.life import JobKind, VersionState
from models_store.tables import Blob, Job, Model, Tombstone, Version
from models_store.targets import Target

DEER = Target("class", label="deer")


def allow_no_grace(world: World, model_id: UUID) -> None:
    with world.store.begin() as db:
        db.get_one(Model, model_id).policy = {"grace_seconds": 0}


@pytest.fixture
def graceless(world: World) -> World:
    """Versions that remember are revoked as soon as they are superseded."""
    allow_no_grace(world, world.model_id)
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


def test_what_failed_its_audit_has_the_same_grace(world: World) -> None:
    world.serve_request(world.ask(DEER), verdict="fail")

    def erasable() -> list[int]:
        with world.store.read() as db:
            model = db.get_one(Model, world.model_id)
            return [version.number for version in retention.erasable_versions(db, model)]

    within = erasable()
    allow_no_grace(world, world.model_id)

    assert world.version(2).state is VersionState.QUARANTINED
    assert (within, erasable()) == ([], [2])


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
