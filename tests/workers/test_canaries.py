"""The bound of one run: what coins give away, held against brute force and against chance."""

import numpy as np
import pytest
from scipy import stats

from workers.canaries import Guesses, epsilon, guess, power


@pytest.mark.parametrize(
    ("made", "right", "shown"), [(100, 60, 0.0), (1000, 600, 0.27), (50, 50, 2.55), (500, 500, 4.9)]
)
def test_the_bound_is_where_the_binomial_says(made: int, right: int, shown: float) -> None:
    found = epsilon(Guesses(made, right))

    assert found == pytest.approx(shown, abs=0.04)
    for eps, is_excluded in ((found - 0.01, True), (found + 0.01, False)):
        chance = 1 / (1 + np.exp(-eps))  # of a right guess, at most
        p_value = stats.binom.sf(right - 1, made, chance)
        assert found == 0.0 or bool(p_value < 0.025) is is_excluded


def test_wrong_guesses_tell_as_much_as_right_ones() -> None:
    assert epsilon(Guesses(200, 20)) == epsilon(Guesses(200, 180)) > 1.0
    assert epsilon(Guesses(0, 0)) == 0.0


@pytest.mark.parametrize("eps", [0.0, 1.0])
def test_answers_that_are_private_are_accused_of_more_no_oftener_than_one_time_in_twenty(
    eps: float,
) -> None:
    chance = np.random.default_rng(4)
    accused = 0
    for _ in range(1000):
        coins = chance.random(120) < 0.5
        truth = chance.random(120) < 1 / (1 + np.exp(-eps))  # randomised response
        answers = np.where(coins == truth, 1.0, 0.0) + 1e-3 * chance.random(120)
        accused += epsilon(guess(answers, coins)) > eps

    assert stats.binom.sf(accused - 1, 1000, 0.05) > 0.01


def test_the_largest_are_taken_for_shown_and_the_middle_is_passed_over() -> None:
    shown = np.array([True] * 30 + [False] * 60)
    margins = np.arange(90.0)[::-1].copy()

    assert guess(margins, shown) == Guesses(60, 60)
    assert guess(-margins, shown) == Guesses(60, 0)


def test_power_is_how_often_a_leak_is_found() -> None:
    chance = np.random.default_rng(5)
    right = chance.binomial(200, 0.6, 4000)
    seen = {v: epsilon(Guesses(200, int(v))) > 0.1 for v in np.unique(right)}

    assert power(200, 0.1, 0.6) == pytest.approx(np.mean([seen[v] for v in right]), abs=0.03)
    assert power(600, 0.1, 0.6) > 0.8 > power(100, 0.1, 0.6)
