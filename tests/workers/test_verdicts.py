"""How often verdicts are wrong, by simulation: 1,000 draws each, most of them under the null."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from workers.evidence import Verdict
from workers.statistics import Auc, auc, equivalence

DRAWS = 1000


def verdicts(draw: Callable[[np.random.Generator], Auc], margin: float) -> list[Verdict]:
    rng = np.random.default_rng(7)
    return [equivalence(draw(rng), margin).verdict for _ in range(DRAWS)]


@pytest.mark.parametrize(("members", "others"), [(25, 200), (100, 1000), (600, 3000)])
def test_a_model_without_residue_is_rarely_failed(members: int, others: int) -> None:
    found = verdicts(
        lambda rng: auc(rng.normal(size=members), rng.normal(size=others)), margin=0.01
    )

    assert found.count(Verdict.FAIL) <= 0.05 * DRAWS + 2 * sqrt(0.05 * 0.95 * DRAWS)


def test_many_classes_with_few_members_each_are_rarely_failed() -> None:
    ours, theirs = np.repeat(np.arange(10), 3), np.repeat(np.arange(10), 40)

    found = verdicts(
        lambda rng: auc(rng.normal(ours, 1), rng.normal(theirs, 1), ours, theirs), margin=0.01
    )

    assert found.count(Verdict.FAIL) <= 0.05 * DRAWS + 2 * sqrt(0.05 * 0.95 * DRAWS)


def test_a_residue_at_the_margin_is_rarely_passed() -> None:
    shift = sqrt(2) * stats.norm.ppf(0.55)  # an area of 0.55

    found = verdicts(lambda rng: auc(rng.normal(shift, 1, 500), rng.normal(size=2000)), margin=0.05)

    assert found.count(Verdict.PASS) <= 0.05 * DRAWS + 2 * sqrt(0.05 * 0.95 * DRAWS)


def test_a_model_without_residue_passes_as_often_as_the_power_says() -> None:
    reading = equivalence(auc(np.arange(500.0), np.arange(0.0, 500.0, 0.1)), 0.05)

    found = verdicts(lambda rng: auc(rng.normal(size=500), rng.normal(size=5000)), margin=0.05)

    assert reading.power == pytest.approx(0.96, abs=0.01)
    assert found.count(Verdict.PASS) / DRAWS == pytest.approx(reading.power, abs=0.03)


def test_a_clear_residue_fails_and_too_few_cannot_tell() -> None:
    rng = np.random.default_rng(3)

    clear = equivalence(auc(rng.normal(1, 1, 300), rng.normal(size=3000)), 0.05)
    faint = equivalence(auc(rng.normal(size=20), rng.normal(size=100)), 0.05)

    assert clear.verdict is Verdict.FAIL
    assert faint.verdict is Verdict.INCONCLUSIVE
    assert faint.power == 0.0


def test_a_constant_attack_on_few_images_does_not_clear_a_model() -> None:
    assert equivalence(auc(np.zeros(50), np.zeros(100)), 0.05).verdict is Verdict.INCONCLUSIVE
