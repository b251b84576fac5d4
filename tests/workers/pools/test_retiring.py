"""Reference models go with what they saw."""

from datetime import timedelta

import pytest
import torch
from pooled import HALVES, MODEL, forget, members, order, seen, set_policy
from scene import Scene

from models_store import doctor, pools, registry, retention, retiring
from models_store.life import MemberState
from workers import halves, tasks
from workers.bench import Bench


@pytest.fixture
def forgotten(scene: Scene, bench: Bench) -> list[int]:
    """Rows that a request has had forgotten; the job that erases what saw them has ended."""
    set_policy(scene, assurance="tier0", grace_seconds=0)
    forget(scene, bench)
    with scene.store.begin() as db:
        rows = db.scalars(retiring.settled(scene.dataset_id)).all()
        job = retention.tend(db, registry.get(db, MODEL).id)
        told = retiring.remembering(db)
    assert job is not None
    retired = members(scene.store, MemberState.RETIRED)
    assert {each["member"] for each in told} == {str(member.id) for member in retired}
    assert tasks.carry_out(bench, job.id)
    return rows


def test_members_that_saw_what_was_forgotten_are_erased_and_all_others_forget_its_margins(
    scene: Scene, forgotten: list[int]
) -> None:
    found = members(scene.store)

    saw = [bool(seen(member)[forgotten].any()) for member in found]

    assert len(forgotten) == 3
    assert sum(saw) >= 3
    assert [member.state is MemberState.ERASED for member in found] == saw
    for member, did in zip(found, saw, strict=True):
        assert scene.store.blobs.path(member.scores).exists() is not did
    for member in members(scene.store, MemberState.READY):
        known, _ = halves.load_margins(scene.store.blobs.read(member.scores))
        assert not torch.isin(known, torch.tensor(forgotten)).any()


def test_the_next_build_tops_up_without_what_was_forgotten(
    scene: Scene, bench: Bench, forgotten: list[int]
) -> None:
    assert tasks.carry_out(bench, order(scene.store, HALVES))

    ready = members(scene.store, MemberState.READY)
    assert len(ready) == HALVES
    assert not any(seen(member)[forgotten].any() for member in ready)
    with scene.store.read() as db:
        found = doctor.examine(db, scene.store.blobs)
    assert (found.orphans, found.missing, found.references) == ([], [], [])


def test_retired_members_stay_for_the_grace_and_take_part_in_no_audit(
    scene: Scene, bench: Bench
) -> None:
    set_policy(scene, assurance="tier0")
    forget(scene, bench)
    with scene.store.begin() as db:
        model = registry.get(db, MODEL)
        retiring.retire(db, scene.dataset_id)
        week = retiring.erasable(db, scene.dataset_id, timedelta(days=7))
        none = retiring.erasable(db, scene.dataset_id, timedelta())
        usable = pools.is_usable(db, model, pools.root_of(db, model))

    assert week == []
    assert none != []
    assert not usable
