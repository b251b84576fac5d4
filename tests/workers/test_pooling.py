"""Reference pools on real nets: built in pieces, looked at by audits, retired with what they saw."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import torch
from scene import Scene, furnish, staged
from torch import Tensor

from models_store import (
    doctor,
    events,
    failpoints,
    jobs,
    pools,
    registry,
    retention,
    retiring,
    reviews,
    rungs,
    versions,
)
from models_store.life import (
    JobKind,
    JobStatus,
    MemberKind,
    MemberState,
    RequestStatus,
    VersionState,
)
from models_store.pools import Retrains
from models_store.registry import NewModel
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import Audit, Job, PoolMember, Version
from workers import gathering, halves, scoring, tasks
from workers.bench import Bench, pick_device
from workers.scoring import load_scores

HALVES = 4
GONE = 4
"""The class that one retrain has not seen."""
MODEL = "digits-0"


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """The home folder of a model with a pool of four halves and a retrain."""
    folder = tmp_path_factory.mktemp("pooled")
    (folder / "home").mkdir()
    shutil.copy(sqlite_template, folder / "home" / "lethe.db")
    store = Store.open(Settings(home=folder / "home"))
    furnish(store, folder, models=1)
    job = order(store, HALVES, [Retrains(label=GONE, size=1)])
    assert tasks.carry_out(Bench(store=store, name="here", device=pick_device()), job)
    store.close()
    return folder / "home"


@pytest.fixture
def scene(pooled: Path, tmp_path: Path) -> Iterator[Scene]:
    shutil.copytree(pooled, tmp_path / "home")
    with staged(tmp_path, "embedded") as opened:
        yield opened


@pytest.fixture
def bench(scene: Scene) -> Bench:
    return Bench(store=scene.store, name="here", device=pick_device())


def order(store: Store, size: int, retrains: list[Retrains] | None = None) -> UUID:
    with store.begin() as db:
        model = registry.get(db, MODEL, lock=True)
        return pools.order(db, model, size, retrains or [], "test").id


def members(store: Store, *states: MemberState) -> list[PoolMember]:
    with store.read() as db:
        return pools.members(db, pools.of_model(db, registry.get(db, MODEL)).id, *states)


def seen(member: PoolMember) -> Tensor:
    return halves.unpacked(member.trained, 600)


def version(scene: Scene, number: int) -> Version:
    with scene.store.read() as db:
        return versions.get(db, registry.get(db, MODEL).id, str(number))


def set_policy(scene: Scene, **policy: Any) -> None:
    with scene.store.begin() as db:
        registry.get(db, MODEL).policy = policy


def forget(scene: Scene, bench: Bench) -> UUID:
    """Retrain one model without nine samples; the request, whose tier-1 audit waits."""
    request: UUID = scene.submit(0, seed=3)
    assert tasks.carry_out(bench, scene.job(request).id)
    return request


# ---- building ------------------------------------------------------------------------------------


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


# ---- audits --------------------------------------------------------------------------------------


def test_the_models_of_one_kind_share_what_references_say(scene: Scene, bench: Bench) -> None:
    with scene.store.begin() as db:
        mine = registry.get(db, MODEL)
        twin = NewModel(
            name="twin", architecture=mine.architecture, parameters=mine.parameters,
            dataset="digits", mean=mine.mean, std=mine.std, policy={},
        )  # fmt: skip
        subject = rungs.subject(db, registry.register(db, twin, "test"))
        recipe = pools.root_of(db, mine).recipe
    rows = torch.tensor([1, 2, 3, 400])
    labels = bench.lay(scene.dataset_id).labels.cpu()
    of_class = (labels == GONE).nonzero().flatten()

    pool, retrains = gathering.gather(bench, subject, recipe, rows, removed=of_class)
    _, others = gathering.gather(bench, subject, recipe, rows, removed=rows)

    assert pool is not None
    assert pool.margins.shape == pool.trained.shape == (HALVES, 4)
    assert pool.trained.sum(0).tolist() == [HALVES // 2] * 4
    assert pool.margins.isfinite().all()
    assert [each.scores.rows.tolist() for each in retrains] == [rows.tolist()]
    alone = scoring.score(retrains[0].model(), bench.lay(scene.dataset_id).samples(rows))
    assert torch.allclose(alone.logits, retrains[0].scores.logits, atol=0.05)
    assert others == []  # it was trained on some of these


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """Which model was asked about which rows, each time that scores are computed."""
    found: list[tuple[int, list[int]]] = []
    plain = scoring._forward

    def noted(model: Any, samples: Any, *more: Any) -> Any:
        found.append((id(model), samples.index.tolist()))
        return plain(model, samples, *more)

    monkeypatch.setattr(scoring, "_forward", noted)
    return found


def test_tier_1_follows_by_itself_and_decides(scene: Scene, bench: Bench) -> None:
    request = forget(scene, bench)
    served, waiting, job = version(scene, 2), scene.request(request), scene.job(request)

    assert tasks.carry_out(bench, job.id)

    assert job.kind is JobKind.AUDIT
    assert (served.state, served.assured) == (VersionState.PROVISIONAL, False)
    assert (waiting.status, waiting.interim_version) == (RequestStatus.RUNNING, 2)
    done, judged = scene.request(request), version(scene, 2)
    assert (done.status, done.version) == (RequestStatus.SUCCEEDED, 2)
    assert (judged.state, judged.assured) == (VersionState.ACTIVE, True)
    with scene.store.read() as db:
        reports = db.query(Audit).filter(Audit.number == 2).order_by(Audit.id).all()
        assert [report.tier for report in reports] == [0, 1]
        assert doctor.examine(db, scene.store.blobs).orphans == []


def test_no_row_passes_twice_through_a_state_of_the_model_in_either_tier(
    scene: Scene, bench: Bench, forwards: list[tuple[int, list[int]]]
) -> None:
    request = forget(scene, bench)
    in_rung = list(forwards)
    forwards.clear()

    assert tasks.carry_out(bench, scene.job(request).id)

    for model in {model for model, _ in in_rung}:
        rows = [row for each, found in in_rung if each == model for row in found]
        assert len(rows) == len(set(rows))
    [(_, again)] = forwards  # the twin with statistics estimated anew; all else was cached
    assert len(again) == scene.request(request).target_count


def test_without_enough_halves_tier_0_decides(scene: Scene, bench: Bench) -> None:
    with scene.store.begin() as db:
        for member in db.query(PoolMember).filter(PoolMember.kind == MemberKind.HALF).limit(1):
            member.state, member.retired_at = MemberState.RETIRED, events.moment(db)

    request = forget(scene, bench)

    assert scene.request(request).status is RequestStatus.SUCCEEDED
    assert version(scene, 2).assured


def test_a_version_is_audited_again_when_somebody_asks_and_attempts_are_counted(
    scene: Scene, bench: Bench
) -> None:
    set_policy(scene, assurance="tier0")
    request = forget(scene, bench)
    assert scene.request(request).status is RequestStatus.SUCCEEDED

    with scene.store.begin() as db:
        model = registry.get(db, MODEL)
        made = versions.get(db, model.id, "2")
        first, same = (reviews.order(db, model, made, 1, "test").id for _ in range(2))
    assert first == same
    assert tasks.carry_out(bench, first)
    with scene.store.begin() as db:
        second = reviews.order(db, model, versions.get(db, model.id, "2"), 1, "test").id
    with scene.store.begin() as db:
        claim = jobs.claim(db, second, "here", "cpu", scene.store.settings)
        assert claim is not None
        review = reviews.begin(db, claim)

    assert (review.tier, review.attempt) == (1, 2)
    assert review.rung.forget == sorted(
        row for rows in review.rung.requests.values() for row in rows
    )
    assert version(scene, 2).state is VersionState.ACTIVE


# ---- erasure -------------------------------------------------------------------------------------


@pytest.fixture
def forgotten(scene: Scene, bench: Bench) -> list[int]:
    """Rows that a request has had forgotten; the job that erases what saw them has ended."""
    set_policy(scene, assurance="tier0", grace_seconds=0)
    forget(scene, bench)
    with scene.store.begin() as db:
        rows = retiring.settled(db, scene.dataset_id)
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

    assert len(forgotten) == 9
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
        usable = pools.is_usable(db, model, pools.root_of(db, model).recipe)

    assert week == []
    assert none != []
    assert not usable
