"""Certificates: granted where nothing is left, refused where something is, else open."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
import shadowed
import torch
from made import WEIGHED, weighed
from shadowed import Law, verdicts

from models_store import certificates, tables
from models_store.life import Goal, Grant
from models_store.tables import Offer
from workers import methods, shelf, wording
from workers.certificate import Certified, of_classes, of_samples, shown
from workers.evidence import Verdict
from workers.kinds import Method

NOBODY = torch.zeros(0, dtype=torch.int64)
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def samples(
    law: Law, seed: int = 1, size: int = 400, shadows: int = 12, attempt: int = 1
) -> Certified:
    said = shadowed.samples(law, seed, size, shadows)
    return of_samples(said, shadowed.canary(law, seed, 2 * size), NOBODY, attempt)


def classes(law: Law, seed: int = 1) -> Certified:
    return of_classes(shadowed.classes(law, seed), NOBODY)


@pytest.mark.parametrize("kind", shelf.on(methods, Method).values())
def test_parameters_that_are_told_whole_are_the_method_that_runs_by_default(
    kind: type[Method],
) -> None:
    told = certificates._whole(Offer(schema=shelf.schema(kind)), {})

    assert shelf.make(kind, told) == kind()
    assert set(told) == {each.name for each in fields(kind)}  # type: ignore[arg-type]


# ---- samples -------------------------------------------------------------------------------------


def test_a_method_that_leaves_nothing_is_granted_one() -> None:
    found = samples(Law())

    assert found.verdict is Grant.GRANTED, found.reason
    told = verdicts(found.findings)
    assert {test for test, verdict in told.items() if verdict is PASS} == {
        "control.members", "unlearned.auc", "unlearned.tpr", "utility.drop", "canaries.epsilon",
        "unlearned.memorised",
    }  # fmt: skip


@pytest.mark.parametrize("left", [1.0, 0.3, -0.3])
def test_what_is_left_or_pushed_too_far_is_refused(left: float) -> None:
    found = samples(Law(left=left))

    assert found.verdict is Grant.REFUSED
    assert verdicts(found.findings)["unlearned.auc"] is FAIL
    assert "unlearned.auc" in found.reason


def test_whoever_ruins_the_net_is_refused() -> None:
    found = samples(Law(damage=0.3))

    assert found.verdict is Grant.REFUSED
    assert [each for each, v in verdicts(found.findings).items() if v is FAIL] == ["utility.drop"]


def test_where_the_attack_sees_nothing_before_nobody_is_cleared() -> None:
    found = samples(Law(memorised=0.02))

    assert found.verdict is Grant.INCONCLUSIVE
    assert verdicts(found.findings)["control.members"] is OPEN


def test_few_rows_clear_nobody_and_accuse_who_leaves_all() -> None:
    clean, leaking = samples(Law(), size=10, shadows=9), samples(Law(left=1.0), size=10, shadows=9)

    assert clean.verdict is Grant.INCONCLUSIVE
    assert leaking.verdict is Grant.REFUSED
    told = verdicts(clean.findings)
    assert (told["canaries.epsilon"], told["unlearned.tpr"]) == (None, None)


def test_few_clean_methods_are_refused() -> None:
    refused = sum(samples(Law(), seed, 40).verdict is Grant.REFUSED for seed in range(60))

    assert refused <= 1


def test_whoever_asks_often_must_pass_at_a_stricter_level() -> None:
    once, often = samples(Law(), size=200), samples(Law(), size=200, attempt=10**6)

    assert verdicts(once.findings)["unlearned.auc"] is PASS
    assert verdicts(often.findings)["unlearned.auc"] is OPEN


def test_a_report_names_what_a_certificate_for_classes_showed() -> None:
    figures = [{"test": "same_class.margin", "estimate": 0.5, "high": 0.54}]
    row = tables.Certificate(
        id=UUID(int=1), granted_at=datetime(2026, 11, 1, tzinfo=UTC), goal=Goal.CLASS, size=1,
        shadows=6, figures=figures,
    )  # fmt: skip

    held = shown(row)

    assert (held.granted, held.area, held.high, held.epsilon) == ("2026-11-01", 0.5, 0.54, None)
    said = wording.statement("class", replace(weighed(WEIGHED), certificate=held))
    assert "on 6 models like this one, a class at a time" in said
    assert "epsilon" not in said


# ---- classes -------------------------------------------------------------------------------------


def test_a_class_that_is_gone_from_all_margins_is_granted() -> None:
    found = classes(Law())

    assert found.verdict is Grant.GRANTED, found.reason
    assert {found for _, found in verdicts(found.findings).items()} == {PASS}


def test_a_mask_over_a_class_that_is_still_known_is_refused() -> None:
    found = classes(Law(left=1.0))

    assert found.verdict is Grant.REFUSED
    assert verdicts(found.findings)["forgotten.d_f"] is PASS
    assert verdicts(found.findings)["same_class.margin"] is FAIL


def test_a_class_that_is_still_recognised_is_refused() -> None:
    runs = shadowed.classes(Law(), 1)
    shadow, twin = runs[0]
    shadow.right_after[:] = True

    found = of_classes([(shadow, twin), *runs[1:]], NOBODY)

    assert found.verdict is Grant.REFUSED
    assert verdicts(found.findings)["forgotten.d_f"] is FAIL


def test_runs_whose_class_was_forgotten_meanwhile_do_not_count() -> None:
    runs = shadowed.classes(Law(), 1)
    gone = torch.cat([shadow.rows[shadow.labels == 0] for shadow, _ in runs])

    assert of_classes(runs, gone).verdict is Grant.GRANTED
    with pytest.raises(ValueError, match="order the certificate anew"):
        of_classes(runs, torch.arange(1500))
