"""Tier 1 on real nets: what references say is read, and nothing is computed twice."""

from typing import Any

import pytest
import torch
from pooled import GONE, HALVES, MODEL, forget, set_policy, version
from scene import Scene

from models_store import doctor, events, jobs, pools, registry, reviews, rungs, versions
from models_store.life import JobKind, MemberKind, MemberState, RequestStatus, VersionState
from models_store.registry import NewModel
from models_store.tables import Audit, Blob, PoolMember
from workers import gathering, gauge, scoring, tasks
from workers.bench import Bench


def test_the_models_of_one_kind_share_what_references_say(scene: Scene, bench: Bench) -> None:
    with scene.store.begin() as db:
        mine = registry.get(db, MODEL)
        twin = NewModel(
            name="twin", architecture=mine.architecture, parameters=mine.parameters,
            dataset="digits", mean=mine.mean, std=mine.std, policy={},
        )  # fmt: skip
        root, model = pools.root_of(db, mine), registry.register(db, twin, "test")
        versions.add(
            db, model, 1, kept=db.get_one(Blob, root.digest), method="import", parent=None,
            state=VersionState.CHECKING, trained_on=root.trained_on, recipe=root.recipe,
        )  # fmt: skip
        subject = rungs.subject(db, model)
    rows = torch.tensor([1, 2, 3, 400])
    labels = bench.lay(scene.dataset_id).labels.cpu()
    of_class = (labels == GONE).nonzero().flatten()

    pool, retrains = gathering.gather(bench, subject, 1, rows, removed=of_class)
    _, others = gathering.gather(bench, subject, 1, rows, removed=rows)

    assert pool is not None
    assert pool.margins.shape == pool.trained.shape == (HALVES, 4)
    assert pool.trained.sum(0).tolist() == [HALVES // 2] * 4
    assert pool.margins.isfinite().all()
    assert [each.scores.rows.tolist() for each in retrains] == [rows.tolist()]
    alone = scoring.score(retrains[0].model(), bench.lay(scene.dataset_id).samples(rows))
    assert torch.allclose(alone.logits, retrains[0].scores.logits, atol=0.05)
    assert others == []  # it was trained on some of these


@pytest.fixture
def forwards(
    scene: Scene, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[int, list[int]]]:
    """Which model was asked about which rows, each time that scores are computed."""
    with scene.store.read() as db:
        subject = rungs.subject(db, registry.get(db, MODEL))
    gauge.measure(bench, subject)  # its black images are no rows
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
        document = reports[1].document
        assert doctor.examine(db, scene.store.blobs).orphans == []
    assert document["data"]["nonmembers"]["slice"] == {"number": 1, "of": 1, "reused": False}
    assert [line["version"] for line in document["history"]] == [1]
    assert document["history"][0]["tests"]["accuracy.d_rt"]["estimate"] > 0.5


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
