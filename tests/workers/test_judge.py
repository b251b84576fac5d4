"""What follows from the answers: the algebra of verdicts, and the controls that must hold."""

from dataclasses import replace

import drawn
import numpy as np
import pytest
import torch
from drawn import FORGET, RETAIN, Law

from workers.evidence import Evidence, Finding, Judgement, Verdict
from workers.innocents import from_margins, never_saw
from workers.references import view
from workers.signals import margin
from workers.verdicts import judge, together

KNOWN = FORGET + RETAIN
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.fixture(scope="module")
def clean() -> Evidence:
    return drawn.evidence(Law())


@pytest.fixture(scope="module")
def cleared(clean: Evidence) -> Judgement:
    return judge(clean, tier=1)


def found(judgement: Judgement, test: str) -> Finding:
    return next(finding for finding in judgement.findings if finding.test == test)


# ---- the version -------------------------------------------------------------------------------


def test_a_model_without_residue_passes_and_its_controls_hold(cleared: Judgement) -> None:
    assert (cleared.verdict, cleared.assurance) == (PASS, "tier1")
    assert cleared.tiers == {0: PASS, 1: PASS}
    assert [(c.name, c.verdict) for c in cleared.controls] == [
        ("original_must_fail", FAIL),
        ("never_saw_must_pass", PASS),
    ]
    area = found(cleared, "rmia.auc")
    assert area.power is not None
    assert area.power > 0.9
    assert abs(area.details["residue"]["value"]) < 0.2
    assert area.tier == 1


def test_a_residue_fails_in_tier_1_and_not_in_tier_0() -> None:
    leaking = drawn.evidence(Law(after=0.5))

    judgement = judge(leaking, tier=1)

    assert (judgement.verdict, judgement.assurance) == (FAIL, "tier1")
    assert judgement.tiers == {0: PASS, 1: FAIL}
    assert "rmia.auc" in judgement.reason
    assert judge(leaking, tier=0).verdict is PASS


def test_images_that_were_picked_for_being_hard_accuse_nobody_and_hide_nothing() -> None:
    innocent = judge(drawn.evidence(Law(picked=2.0)), tier=1)
    leaking = judge(drawn.evidence(Law(picked=2.0, after=0.5)), tier=1)

    area = found(innocent, "rmia.auc")
    assert area.details["never_saw"] < 0.45
    assert area.estimate == pytest.approx(0.5, abs=0.04)
    assert all(control.as_expected for control in innocent.controls)
    assert innocent.verdict is not FAIL
    assert found(leaking, "rmia.auc").verdict is FAIL


def test_forgetting_too_well_fails_too() -> None:
    assert judge(drawn.evidence(Law(after=-0.7)), tier=1).verdict is FAIL


def test_tier_0_never_assures_more_than_tier_0(clean: Evidence) -> None:
    judgement = judge(clean, tier=0)

    assert (judgement.verdict, judgement.assurance, judgement.controls) == (PASS, "tier0", [])


def test_a_baseline_has_no_controls(clean: Evidence) -> None:
    judgement = judge(replace(clean, goal="none"), tier=1)

    assert (judgement.tiers[0], judgement.controls) == (PASS, [])


# ---- what leaves it open -----------------------------------------------------------------------


def test_without_references_tier_1_is_open(clean: Evidence) -> None:
    judgement = judge(replace(clean, references=None), tier=1)

    assert (judgement.verdict, judgement.assurance) == (OPEN, "tier0")
    assert judgement.tiers[0] is PASS
    assert "lethe pool build" in judgement.controls[0].reason


def test_an_original_that_gives_nothing_away_clears_nobody() -> None:
    judgement = judge(drawn.evidence(Law(before=0.0)), tier=1)

    assert judgement.verdict is OPEN
    assert not judgement.controls[0].as_expected
    assert "controls" in judgement.reason


def test_a_hold_out_of_another_kind_is_refused() -> None:
    judgement = judge(drawn.evidence(Law(brighter=3)), tier=1)

    assert found(judgement, "exchangeability").details["valid"] is False
    assert "Invalid hold-out" in found(judgement, "exchangeability").reason
    assert found(judgement, "rmia.auc").verdict is OPEN
    assert "invalid" in found(judgement, "rmia.auc").reason
    assert judgement.verdict is OPEN


def test_a_policy_that_wants_a_certificate_gets_no_pass_without(clean: Evidence) -> None:
    judgement = judge(clean, tier=1, require_certificate=True)

    assert judgement.verdict is OPEN
    assert "certificate" in judgement.reason


def test_whoever_tries_often_must_pass_at_a_stricter_level(
    clean: Evidence, cleared: Judgement
) -> None:
    often = judge(clean, tier=1, attempt=1000)

    assert (cleared.verdict, often.verdict) == (PASS, OPEN)
    assert found(often, "rmia.auc").estimate == found(cleared, "rmia.auc").estimate
    assert often.attempt == 1000


def test_a_failure_that_chance_explains_among_many_is_left_open() -> None:
    gate = Finding(test="a", estimate=0.6, gate="g", verdict=FAIL, reason="Off.", p_value=0.002)
    quiet = [replace(gate, test=f"b{i}", verdict=PASS, p_value=0.5) for i in range(4)]

    alone, among = together([gate])[0], together([gate, *quiet])[0]

    assert alone.verdict is FAIL
    assert among.verdict is OPEN
    assert among.details["p_adjusted"] == pytest.approx(0.01)
    assert "chance" in among.reason


# ---- controls ----------------------------------------------------------------------------------


def test_logits_made_from_margins_have_them() -> None:
    margins = torch.tensor([-30.0, 0.0, 2.5, 40.0])
    scores = drawn.scores(margins, torch.tensor([0, 1, 2, 3]))

    assert margin(scores) == pytest.approx(margins.numpy(), abs=1e-5)
    assert from_margins(margins, torch.zeros(4, dtype=torch.int64), 2).shape == (4, 2)


def test_a_model_that_never_saw_is_no_reference_for_itself(clean: Evidence) -> None:
    (innocent,) = never_saw(clean)

    assert innocent.references is not None
    assert clean.references is not None
    rows = torch.cat([clean.parts["forget"], clean.parts["nonmembers"]])
    said = margin(innocent.after.of(rows))
    pool, left = view(clean.references, rows), view(innocent.references, rows)
    away = np.where(pool.out, np.abs(pool.margins - said), np.inf)
    assert away.min(0).max() < 1e-4
    assert not left.out[away.argmin(0), np.arange(len(rows))].any()
    assert (left.out.sum(0) == pool.out.sum(0) - 1).all()
    assert torch.equal(clean.after.logits[FORGET:KNOWN], innocent.after.logits[FORGET:KNOWN])
