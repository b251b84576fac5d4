"""Reference pools on real nets: each half has a complement, and a broken build goes on."""

from typing import Any

import pytest
import torch
from pooled import GONE, HALVES, members, order, seen
from scene import Scene

from models_store import doctor, events, failpoints
from models_store.life import JobStatus, MemberKind
from models_store.tables import Job, Sample
from workers import halves, scoring, tasks
from workers.bench import Bench
from workers.scoring import load_scores


def test_each_row_is_unseen_by_exactly_half_of_the_halves(scene: Scene, bench: Bench) -> None:
    laid, found = bench.lay(scene.dataset_id), members(scene.store)[:HALVES]

    trained = torch.stack([seen(member) for member in found])

    assert [member.kind for member in found] == [MemberKind.HALF] * HALVES
    used = torch.cat([laid.split("train"), laid.split("test")])
    assert trained[:, used].sum(0).unique().tolist() == [HALVES // 2]
    for mask in trained:
        for label in range(10):
            mine = (laid.labels == label) & (laid.splits == 0)
            assert abs(int((mask & mine).sum()) - int(mine.sum()) / 2) <= 0.5


def test_of_a_half_only_its_margins_are_kept_and_of_a_retrain_all(scene: Scene) -> None:
    *first, retrain = members(scene.store)
    blobs = scene.store.blobs

    rows, margins = halves.load_margins(blobs.read(first[0].scores))
    mask = seen(first[0])

    assert [half.weights for half in first] == [None] * HALVES
    assert rows.tolist() == list(range(600))
    assert margins[mask].mean() > margins[~mask].mean()  # it knows what it was trained on
    assert (retrain.kind, retrain.label) == (MemberKind.RETRAIN, GONE)
    scores = load_scores(blobs.read(retrain.scores))
    assert len(scores.rows) == 600
    assert not seen(retrain)[scores.labels == GONE].any()
    assert retrain.weights is not None
    assert blobs.path(retrain.weights).is_file()


def test_a_build_that_breaks_goes_on_with_the_member_that_is_missing(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [member.id for member in members(scene.store)]
    job = order(scene.store, HALVES + 4)
    monkeypatch.setattr(failpoints, "PLAN", "pool.member_built=raise#2")
    failpoints._passed.clear()

    assert tasks.carry_out(bench, job)
    between = [member.id for member in members(scene.store)]
    monkeypatch.setattr(failpoints, "PLAN", "")
    assert tasks.carry_out(bench, job)

    after = members(scene.store)
    assert between == [member.id for member in after][: len(before) + 2]
    assert len(after) == len(before) + 4
    new = after[len(before) :]
    assert (seen(new[0]) ^ seen(new[1])).all()
    assert (seen(new[2]) ^ seen(new[3])).all()
    with scene.store.read() as db:
        done = db.get_one(Job, job)
        assert (done.status, done.result) == (
            JobStatus.SUCCEEDED, {"halves": HALVES + 4, "retrains": 1, "built": 4},
        )  # fmt: skip


def test_a_pool_of_the_size_that_is_ordered_needs_nothing(scene: Scene, bench: Bench) -> None:
    assert tasks.carry_out(bench, order(scene.store, HALVES))

    assert len(members(scene.store)) == HALVES + 1


def test_a_net_that_speaks_of_images_erased_meanwhile_is_built_again(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, gone = scoring.score, 7

    def erasing(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(scoring, "score", plain)
        found = plain(*arguments, **more)
        with scene.store.begin() as db:
            row = db.query(Sample).filter(Sample.position == gone).one()
            row.erased_at = events.moment(db)
        return found

    monkeypatch.setattr(scoring, "score", erasing)
    before = len(members(scene.store))

    assert tasks.carry_out(bench, order(scene.store, HALVES + 2))

    first, second = members(scene.store)[before:]
    for member in (first, second):
        rows, _ = halves.load_margins(scene.store.blobs.read(member.scores))
        assert gone not in rows.tolist()
    with scene.store.read() as db:
        assert doctor.examine(db, scene.store.blobs).orphans == []
