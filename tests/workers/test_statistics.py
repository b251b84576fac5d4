"""Estimates against counting by hand, intervals against the definition."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from workers.statistics import (
    Floats,
    auc,
    lower_bound,
    paired_drop,
    placements,
    proportion,
    screen_band,
    true_positives,
    upper_bound,
)

scores = arrays(np.float64, st.integers(1, 30), elements=st.integers(-3, 3).map(float))
"""Few distinct values, so that ties are the rule."""


def counted(members: Floats, others: Floats) -> float:
    pairs = [(x > y) + 0.5 * (x == y) for x in members for y in others]
    return sum(pairs) / len(pairs)


@given(scores, scores)
def test_the_area_is_the_share_of_ordered_pairs(members: Floats, others: Floats) -> None:
    assert auc(members, others).value == pytest.approx(counted(members, others))


@given(scores, scores)
def test_turning_the_scores_round_turns_the_area_round(members: Floats, others: Floats) -> None:
    there, back = auc(members, others), auc(-members, -others)

    assert there.value == pytest.approx(1 - back.value)
    assert there.variance == pytest.approx(back.variance)


@given(scores, scores)
def test_an_interval_holds_its_estimate_and_stays_a_share(members: Floats, others: Floats) -> None:
    area = auc(members, others).interval()

    assert 0 <= area.low <= area.value <= area.high <= 1
    assert area.low < area.high


def test_the_variance_is_that_of_delong_by_the_definition() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 40), rng.normal(0, 1, 60)
    kernel = (members[:, None] > others).astype(float)
    v10, v01 = kernel.mean(1), kernel.mean(0)

    found = auc(members, others)

    assert found.variance == pytest.approx(v10.var(ddof=1) / 40 + v01.var(ddof=1) / 60)


def test_delong_agrees_with_the_spread_over_many_draws() -> None:
    rng = np.random.default_rng(1)
    draws = [auc(rng.normal(0.7, 1, 80), rng.normal(0, 1, 120)) for _ in range(600)]

    spread = np.std([draw.value for draw in draws])

    assert sqrt(np.mean([draw.variance for draw in draws])) == pytest.approx(spread, rel=0.1)


def test_strata_weigh_as_much_as_they_have_members() -> None:
    members, ours = np.array([1.0, 5.0, 9.0]), np.array([0, 0, 1])
    others, theirs = np.array([0.0, 4.0, 10.0]), np.array([0, 0, 1])

    found = auc(members, others, ours, theirs)

    first = counted(members[:2], others[:2])
    assert found.value == pytest.approx((2 * first + 1 * 0.0) / 3)
    assert (found.members, found.others, found.pairs) == (3, 3, 3)


def test_classes_of_different_difficulty_do_not_look_like_membership() -> None:
    rng = np.random.default_rng(2)
    ours, theirs = np.repeat([0, 1], [400, 100]), np.repeat([0, 1], [100, 400])
    members, others = rng.normal(5.0 * ours, 1), rng.normal(5.0 * theirs, 1)

    naive, stratified = auc(members, others), auc(members, others, ours, theirs)

    assert naive.interval().high < 0.5
    assert stratified.interval().low < 0.5 < stratified.interval().high


def test_a_member_without_a_counterpart_is_refused() -> None:
    with pytest.raises(ValueError, match="others in each stratum"):
        auc(np.ones(2), np.ones(2), np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(ValueError, match="needs members"):
        auc(np.ones(0), np.ones(2))


def test_perfect_separation_of_few_leaves_room_for_doubt() -> None:
    few = auc(np.full(5, 1.0), np.zeros(500)).interval()
    many = auc(np.full(500, 1.0), np.zeros(500)).interval()

    assert few.low < 0.6
    assert many.low > 0.99
    assert few.high == many.high == 1.0


def test_placements_count_a_tie_as_one_half() -> None:
    placed = placements(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0]))

    assert placed.tolist() == [0.25, 0.75, 1.0]


# ---- proportions -------------------------------------------------------------------------------


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_is_where_the_binomial_tails_are_of_that_size(
    hits_of: tuple[int, int],
) -> None:
    hits, n = hits_of
    searched = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")

    found = proportion(hits, n)

    assert (found.low, found.high) == pytest.approx((searched.low, searched.high), abs=1e-9)
    assert lower_bound(hits, n) <= found.value <= upper_bound(hits, n)


def test_a_proportion_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        proportion(0, 0)


def test_a_drop_is_the_difference_of_accuracies_on_the_same_images() -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = np.array([True] * 80 + [False] * 20)

    drop = paired_drop(before, after)

    assert drop.value == pytest.approx(0.10)
    assert 0.0 < drop.low < 0.10 < drop.high


def test_no_change_among_few_images_is_no_certainty() -> None:
    unchanged = np.ones(20, np.bool_)

    drop = paired_drop(unchanged, unchanged)

    assert drop.low < 0.0 < drop.high


def test_the_screen_is_as_wide_as_the_lemma_says() -> None:
    assert screen_band(600, 3000) == pytest.approx(0.087, abs=0.001)
    assert screen_band(5000, 10000) == pytest.approx(0.036, abs=0.001)


# ---- true positives ----------------------------------------------------------------------------


@given(scores, scores, st.sampled_from([0.01, 0.1, 0.29, 0.5]))
def test_the_attack_never_accuses_more_than_it_may(m: Floats, o: Floats, alpha: float) -> None:
    best = max(
        (m > t).mean()
        for t in np.append(np.unique(o), np.inf)
        if (o > t).sum() <= int(alpha * len(o) + 1e-9)
    )

    found = true_positives(m, o, alpha)

    assert found.false_positives <= alpha * len(o) + 1e-9
    assert found.rate.value == pytest.approx(best)


def test_too_few_others_do_not_resolve_a_small_rate() -> None:
    assert not true_positives(np.ones(10), np.zeros(999), 0.01).resolvable
    assert true_positives(np.ones(10), np.zeros(1000), 0.01).resolvable


def test_all_alike_means_that_nobody_is_found() -> None:
    found = true_positives(np.zeros(50), np.zeros(2000), 0.01)

    assert (found.rate.value, found.false_positives) == (0.0, 0)
