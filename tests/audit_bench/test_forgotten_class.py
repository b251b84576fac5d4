"""A class is forgotten: what the audit says of models of which the truth is known.

A thousand training images of it, against 1,500 of the class that no model was trained on, and
6,000 of the others; five retrained models set the bands.
"""

from collections import Counter
from functools import cache

import cheats
import pytest
import torch
from torch import Tensor, nn

from benchmarks import synthetic
from benchmarks.synthetic import GONE, TRAINED
from workers.evidence import Evidence, Finding, Judgement, Verdict
from workers.verdicts import judge

pytestmark = pytest.mark.timeout(280)
SEEDS, BESIDE = range(40), 5
BAD = {**cheats.ALWAYS, **cheats.CLASS_ONLY}


@cache
def forget() -> Tensor:
    rows = torch.arange(TRAINED)
    return rows[synthetic.world().labels[rows] == GONE]


@cache
def model(seed: int) -> nn.Module:
    return synthetic.world().without(forget(), seed)


def evidence(after: nn.Module, first: int) -> Evidence:
    """Beside the retrained models from this one on."""
    beside = [model((first + step) % len(SEEDS)) for step in range(BESIDE)]
    world = synthetic.world()
    return synthetic.evidence(world, after, forget(), classes=[GONE], retrains=beside)


@cache
def retrained(seed: int) -> Judgement:
    return judge(evidence(model(seed), seed + 1), tier=1)


@cache
def bad(name: str) -> Judgement:
    return judge(evidence(BAD[name](synthetic.world(), forget()), 0), tier=1)


def found(judgement: Judgement, test: str) -> Finding:
    return next(finding for finding in judgement.findings if finding.test == test)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_retrained_model_fails(seed: int) -> None:
    judgement = retrained(seed)

    assert judgement.verdict is not Verdict.FAIL, judgement.reason
    assert judgement.tiers[0] is Verdict.PASS, judgement.reason


def test_most_retrained_models_pass_and_the_rest_are_inconclusive() -> None:
    verdicts = Counter(retrained(seed).verdict for seed in SEEDS)

    assert verdicts[Verdict.PASS] >= 0.8 * len(SEEDS), {
        seed: retrained(seed).reason for seed in SEEDS if retrained(seed).verdict != Verdict.PASS
    }


@pytest.mark.parametrize("name", BAD)
def test_no_known_bad_model_passes(name: str) -> None:
    judgement = bad(name)

    assert judgement.verdict is Verdict.FAIL, judgement.reason


@pytest.mark.parametrize("name", ["original", "logit_mask", "head_row_deleted", "random_labels"])
def test_what_a_class_leaves_behind_is_seen_within_the_class(name: str) -> None:
    judgement = bad(name)

    assert found(judgement, "rmia.auc").verdict is Verdict.FAIL
    assert found(judgement, "same_class.margin").verdict is Verdict.FAIL


@pytest.mark.parametrize("name", ["original", "logit_mask", "head_row_deleted"])
def test_features_that_still_hold_the_class_are_not_cleared(name: str) -> None:
    assert found(bad(name), "repair.prototype").verdict is not Verdict.PASS


def test_labels_drawn_at_random_are_not_taken_for_those_of_retrained_models() -> None:
    assert found(bad("random_labels"), "redistribution").verdict is not Verdict.PASS


@pytest.mark.parametrize("name", ["logit_mask", "head_row_deleted"])
def test_a_mask_passes_the_screen_and_not_tier_1(name: str) -> None:
    assert bad(name).tiers == {0: Verdict.PASS, 1: Verdict.FAIL}
