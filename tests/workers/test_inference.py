"""Many tests, many records, few retrains: by brute force, and by simulation under the null."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workers.evidence import Verdict
from workers.inference import (
    band,
    discoveries,
    few,
    holm,
    influence,
    inside,
    rate,
    residue,
)
from workers.statistics import auc, true_positives

DRAWS = 1000
CHANCE = 2 * sqrt(0.05 * 0.95 * DRAWS)
"""Two standard deviations of a count that is expected to be 5 % of the draws."""
shares = st.lists(st.floats(0, 1), min_size=1, max_size=8)


# ---- many tests --------------------------------------------------------------------------------


@given(shares)
def test_holm_rejects_what_the_step_down_by_hand_rejects(p_values: list[float]) -> None:
    rejected, left = set(), sorted(range(len(p_values)), key=p_values.__getitem__)
    for step, i in enumerate(left):
        if p_values[i] * (len(p_values) - step) > 0.05:
            break
        rejected.add(i)

    assert {i for i, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_five_tests_together_raise_few_false_alarms() -> None:
    draws = np.random.default_rng(1).uniform(size=(DRAWS, 5))

    alarms = sum(min(holm(list(draw))) <= 0.05 for draw in draws)

    assert alarms <= 0.05 * DRAWS + CHANCE


@given(shares)
def test_discoveries_are_those_of_the_step_up_by_hand(p_values: list[float]) -> None:
    ranked, n = np.sort(p_values), len(p_values)
    passing = [p for i, p in enumerate(ranked, 1) if p <= 0.1 * i / n * (1 + 1e-12)]
    threshold = max(passing, default=-1.0)

    flagged = discoveries(np.array(p_values)) <= 0.1 * (1 + 1e-12)

    assert flagged.tolist() == [p <= threshold for p in p_values]


def test_of_nothing_there_is_nothing_to_discover() -> None:
    assert len(discoveries(np.zeros(0))) == 0


# ---- rates -------------------------------------------------------------------------------------


def test_a_rate_gate_accuses_a_model_without_residue_seldom_and_passes_it_mostly() -> None:
    rng = np.random.default_rng(2)
    rulings = [
        rate(true_positives(rng.normal(size=600), rng.normal(size=3000), 0.01), 0.03)
        for _ in range(DRAWS)
    ]

    assert sum(ruling.verdict is Verdict.FAIL for ruling in rulings) <= 0.01 * DRAWS
    assert sum(ruling.verdict is Verdict.PASS for ruling in rulings) >= 0.9 * DRAWS
    assert sum(ruling.p_value <= 0.05 for ruling in rulings) <= 0.05 * DRAWS + CHANCE


def test_a_rate_gate_finds_the_exposed_few_that_an_area_averages_away() -> None:
    rng = np.random.default_rng(3)
    members = np.concatenate([rng.normal(size=950), rng.normal(6, 1, 50)])
    others = rng.normal(size=10_000)

    found = rate(true_positives(members, others, 0.01), 0.03)

    assert auc(members, others).value < 0.55
    assert found.verdict is Verdict.FAIL
    assert found.p_value < 1e-6


def test_few_are_surely_few_only_among_many() -> None:
    assert few(5, 100, 0.10, 0.05) is Verdict.INCONCLUSIVE
    assert few(50, 1000, 0.10, 0.05) is Verdict.PASS
    assert few(300, 1000, 0.10, 0.05) is Verdict.FAIL


def test_the_chance_of_a_rate_is_that_of_dealing_ranks_at_random() -> None:
    rng, hits = np.random.default_rng(8), 9
    ranks = np.array([rng.permutation(130) for _ in range(20_000)])
    threshold = np.sort(ranks[:, 30:], axis=1)[:, -6]  # five of a hundred others are above it
    dealt = ((ranks[:, :30] > threshold[:, None]).sum(1) >= hits).mean()

    members = np.concatenate([np.full(hits, 9.0), np.full(30 - hits, -9.0)])
    found = rate(true_positives(members, np.arange(100.0) / 100, 0.05), 0.1)

    assert found.p_value == pytest.approx(dealt, abs=0.003)


# ---- retrained models --------------------------------------------------------------------------


@pytest.mark.parametrize("models", [3, 5, 10])
def test_one_more_retrained_model_lies_above_the_band_as_often_as_it_says(models: int) -> None:
    rng = np.random.default_rng(4)
    draws = rng.normal(0.5, 0.02, size=(DRAWS, models + 1))

    above = sum(inside(d[0], band(d[1:]), 0.05).verdict is Verdict.FAIL for d in draws)

    assert above == pytest.approx(0.05 * DRAWS, abs=CHANCE)


def test_the_band_of_five_is_three_deviations_wide_to_either_side() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    found = band(values)

    reach = (found.bound(0.975) - found.centre) / np.std(values, ddof=1)

    assert reach == pytest.approx(stats.t.ppf(0.975, 4) * sqrt(1.2))
    assert reach == pytest.approx(3.0, abs=0.1)


def test_models_that_agree_make_a_band_by_counting_or_none() -> None:
    assert band([0.0] * 5, counted=100).bound(0.99) > 0.01
    with pytest.raises(ValueError, match="agree"):
        band([0.3] * 5)
    with pytest.raises(ValueError, match="two models"):
        band([0.3])


# ---- residue -----------------------------------------------------------------------------------


def strata(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def test_influences_have_the_variance_of_the_area() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = strata(60, 40), strata(150, 250)
    members, others = rng.normal(0.5 + ours, 1), rng.normal(theirs, 1)

    parts, area = influence(members, others, ours, theirs), auc(members, others, ours, theirs)

    variance = parts.members.var(ddof=1) / 100 + parts.others.var(ddof=1) / 400
    assert parts.value == pytest.approx(area.value)
    assert variance == pytest.approx(area.variance, rel=0.05)


def test_the_interval_of_the_residue_holds_the_truth_as_often_as_it_says() -> None:
    rng, one, many = np.random.default_rng(6), strata(200), strata(800)
    held = 0
    for _ in range(100):
        known, rest = rng.normal(1.5, 1, 200), rng.normal(size=800)
        before = influence(known, rest, one, many)
        after = influence(rng.normal(size=200), rng.normal(size=800), one, many)
        found = residue(before, after, rng)
        held += found.low <= 0.0 <= found.high

    assert held >= 0.95 * 100 - 2 * sqrt(0.05 * 0.95 * 100)


def test_where_nothing_was_to_be_seen_no_share_of_it_is_left() -> None:
    nothing = influence(np.zeros(3), np.zeros(4), strata(3), strata(4))

    with pytest.raises(ValueError, match="nothing to see"):
        residue(nothing, nothing, np.random.default_rng(0))
