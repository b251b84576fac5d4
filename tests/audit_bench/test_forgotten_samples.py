"""Samples are forgotten: what the audit says of models of which the truth is known.

A thousand training images, each time others, against 7,500 that no model was trained on.
"""

from collections import Counter
from functools import cache

import cheats
import pytest
import torch

from benchmarks import synthetic
from benchmarks.synthetic import FOREIGN, HELD, TRAINED, some
from workers.evidence import Finding, Judgement, Verdict
from workers.verdicts import judge

pytestmark = pytest.mark.timeout(280)
SEEDS = range(40)
ASKED = 100
"""The forget set that bad models are asked to forget."""


@cache
def retrained(seed: int) -> Judgement:
    """Trained from scratch without the forget set, so nothing of it can be there."""
    world = synthetic.world()
    forget = some(seed)
    return judge(synthetic.evidence(world, world.without(forget, seed), forget), tier=1)


def found(judgement: Judgement, test: str) -> Finding:
    return next(finding for finding in judgement.findings if finding.test == test)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_retrained_model_fails(seed: int) -> None:
    judgement = retrained(seed)

    assert judgement.verdict is not Verdict.FAIL, judgement.reason


def test_most_retrained_models_pass_and_the_rest_are_inconclusive() -> None:
    verdicts = Counter(retrained(seed).verdict for seed in SEEDS)

    assert verdicts[Verdict.PASS] >= 0.8 * len(SEEDS), {
        seed: retrained(seed).reason for seed in SEEDS if retrained(seed).verdict != Verdict.PASS
    }


@pytest.mark.parametrize("name", cheats.ALWAYS)
def test_no_known_bad_model_passes(name: str) -> None:
    world, forget = synthetic.world(), some(ASKED)

    judgement = judge(synthetic.evidence(world, cheats.ALWAYS[name](world, forget), forget), tier=1)

    assert judgement.verdict is Verdict.FAIL, judgement.reason


@pytest.mark.parametrize(
    "name", ["original", "random_labels", "low_rate_finetune", "residue", "near_duplicates"]
)
def test_members_are_told_from_non_members_where_there_is_a_residue(name: str) -> None:
    world, forget = synthetic.world(), some(ASKED)
    made = cheats.ALWAYS[name](world, forget)

    judgement = judge(synthetic.evidence(world, made, forget), tier=1)

    assert found(judgement, "rmia.auc").verdict is Verdict.FAIL
    assert found(judgement, "utility.worst_class").verdict is Verdict.PASS


def test_a_hold_out_from_another_source_is_refused() -> None:
    world, forget = synthetic.world(), some(0)
    foreign = torch.arange(TRAINED + HELD, TRAINED + HELD + FOREIGN)
    model = world.without(forget, 0)

    judgement = judge(synthetic.evidence(world, model, forget, holdout=foreign), tier=1)

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "Invalid hold-out" in found(judgement, "exchangeability").reason
    assert found(judgement, "rmia.auc").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("size", "seed"), [(250, 5), (250, 6), (1000, 5), (1000, 6)])
def test_a_hard_forget_set_convicts_no_retrained_model(size: int, seed: int) -> None:
    """The hardest 5 % and 20 % of the training images."""
    world = synthetic.world()
    hardest = synthetic.hard(world, size)

    judgement = judge(synthetic.evidence(world, world.without(hardest, seed), hardest), tier=1)

    naive = found(judgement, "membership.auc").high
    assert naive is not None
    assert naive < 0.45  # without matching, this model would be accused
    assert found(judgement, "rmia.auc").verdict is not Verdict.FAIL
    assert [each.reason for each in judgement.controls if not each.as_expected] == []
    assert judgement.verdict is not Verdict.FAIL, judgement.reason


def test_images_of_two_classes_convict_no_retrained_model() -> None:
    world, rows = synthetic.world(), torch.arange(TRAINED)
    labels = world.labels[rows]
    pair = rows[(labels == 1) | (labels == 3)][:500]

    judgement = judge(synthetic.evidence(world, world.without(pair, 5), pair), tier=1)

    assert found(judgement, "rmia.auc").verdict is Verdict.PASS
    assert judgement.verdict is not Verdict.FAIL, judgement.reason


def test_the_controls_hold_for_every_retrained_model() -> None:
    for seed in SEEDS:
        first, second = retrained(seed).controls
        assert (first.name, first.verdict) == ("original_must_fail", Verdict.FAIL)
        assert second.name == "never_saw_must_pass"
        assert second.verdict is not Verdict.FAIL
