"""Verdicts on models of which the truth is known, most of them bad."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import toy
from torch import Tensor
from toy import GONE, World, everything, evidence

from workers.audits.forgetting import Forgetting
from workers.evidence import Evidence, Verdict


@pytest.fixture(scope="module")
def world() -> World:
    return toy.world()


@pytest.fixture(scope="module")
def seen(world: World) -> Evidence:
    """A model retrained without the class."""
    return evidence(world, world.retrained)


def test_the_untouched_original_fails(world: World) -> None:
    found = everything(evidence(world, deepcopy(world.original)))

    assert found["integrity"].verdict is Verdict.FAIL
    assert "no trained parameter changed" in found["integrity"].reason.lower()
    assert found["forgetting.d_f"].verdict is Verdict.FAIL
    assert found["forgetting.d_ft"].verdict is Verdict.FAIL
    assert found["bn_recalibration.d_f"].verdict is Verdict.FAIL


def test_forgetting_that_lives_in_batchnorm_statistics_fails(world: World) -> None:
    found = everything(evidence(world, toy.drifted(world)))

    assert found["integrity"].verdict is Verdict.PASS
    assert found["forgetting.d_f"].verdict is Verdict.PASS
    assert found["bn_recalibration.d_f"].verdict is Verdict.FAIL
    assert found["bn_recalibration.d_f"].before == 0.0
    assert found["bn_recalibration.d_f"].estimate == pytest.approx(1.0, abs=0.1)


def test_changed_buffers_alone_are_no_change(world: World) -> None:
    twin = deepcopy(world.original)
    twin[1].running_mean.add_(5.0)  # type: ignore[index, union-attr, operator]

    found = everything(evidence(world, twin))

    assert found["integrity"].verdict is Verdict.FAIL


def test_a_masked_logit_is_warned_of_and_leaks_as_before(world: World) -> None:
    found = everything(evidence(world, toy.masked(world.original)))

    assert found["forgetting.d_f"].estimate == 0.0
    assert found["integrity"].details["outlying_classes"] == [GONE]
    assert "masked" in found["integrity"].reason
    before, after = found["membership.auc"].before, found["membership.auc"].estimate
    assert after == pytest.approx(before, abs=0.01)
    assert found["membership.auc"].details["reading"] == "fail"


def test_no_outlier_is_seen_in_ordinary_models(seen: Evidence) -> None:
    assert everything(seen)["integrity"].details["outlying_classes"] == []


def test_the_wrong_forget_set_fails(world: World) -> None:
    asked = world.train[world.labels[world.train] == GONE]
    wrong = torch.cat([asked[1:], torch.tensor([0, 1])])

    found = everything(evidence(world, world.retrained, removed=wrong))

    assert found["right_set"].verdict is Verdict.FAIL
    assert found["right_set"].details == {"missing": 1, "unasked": 2}


def test_a_collapsed_model_fails(world: World) -> None:
    found = everything(evidence(world, toy.collapsed(world.original)))

    assert found["utility.worst_class"].verdict is Verdict.FAIL
    assert found["utility.overall"].estimate == pytest.approx(0.54, abs=0.05)
    assert found["destination"].details["predicted_after"] == [toy.PER_CLASS, 0, 0, 0]


def test_a_broken_model_fails(world: World) -> None:
    found = everything(evidence(world, toy.broken(world.original)))

    assert found["integrity"].verdict is Verdict.FAIL
    assert "not finite" in found["integrity"].reason


# ---- forgotten samples -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scattered(world: World) -> Tensor:
    """40 samples of all classes."""
    return world.train[torch.randperm(len(world.train), generator=torch.Generator())[:40]].sort()[0]


def test_forgotten_samples_have_a_screen_in_place_of_the_class_gates(
    world: World, scattered: Tensor
) -> None:
    found = everything(
        evidence(world, world.retrained, forget=scattered, classes=(), goal="samples")
    )

    assert "forgetting.d_f" not in found
    assert found["forgetting.samples"].verdict is Verdict.PASS
    assert found["bn_recalibration.samples"].verdict is Verdict.PASS
    assert not found["forgetting.samples"].details["power"]
    assert "nothing to see" in found["forgetting.samples"].reason


def test_forgetting_samples_too_well_is_a_trace(world: World, scattered: Tensor) -> None:
    shown = evidence(world, world.original, forget=scattered, classes=(), goal="samples")
    logits = shown.after.logits.clone()
    at = shown.after.positions(scattered)
    logits[at, shown.after.labels[at]] -= 100.0

    (found,) = Forgetting().ask(replace(shown, after=replace(shown.after, logits=logits)))

    assert found.verdict is Verdict.FAIL
    assert found.estimate is not None
    assert found.estimate < -found.details["band"]


def test_a_union_of_a_class_and_samples_is_judged_by_both_rules(
    world: World, scattered: Tensor
) -> None:
    whole = world.train[world.labels[world.train] == GONE]
    union = torch.cat([whole, scattered]).unique()

    found = everything(evidence(world, world.retrained, forget=union, goal="samples"))

    assert found["forgetting.d_f"].n == len(whole)
    assert found["forgetting.samples"].n == len(union) - len(whole)
