"""What the pool says of a row: only models that never saw it may speak."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from workers.evidence import References
from workers.references import Pool, bins, rmia, view
from workers.standings import levelled, standing

K, ROWS = 8, 40


def references(seed: int = 0) -> References:
    chance = torch.Generator().manual_seed(seed)
    margins = torch.randn(K, ROWS, generator=chance)
    trained = torch.rand(K, ROWS, generator=chance).argsort(0).argsort(0) < K // 2
    trained[:, ROWS // 2 :] = False  # rows that were never drawn
    return References(rows=torch.arange(0, 2 * ROWS, 2), margins=margins, trained=trained)


def normal(rows: int, out: int = 4, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    every = np.ones((out, rows), np.bool_)
    return Pool(margins=rng.normal(size=(out, rows)), out=every, trained=~every, known=every)


# ---- who may speak -----------------------------------------------------------------------------


@given(st.integers(0, 100))
def test_a_model_that_saw_a_row_is_no_reference_for_it(seed: int) -> None:
    known = references(seed)
    pool = view(known, known.rows)

    changed = known.margins + 100.0 * known.trained
    again = view(replace(known, margins=changed), known.rows)

    assert not (pool.out & known.trained.numpy()).any()
    assert np.array_equal(pool.hardness, again.hardness)
    assert np.array_equal(pool.confidence, again.confidence)


def test_every_row_is_known_equally_well() -> None:
    known = references()

    assert view(known, known.rows).out.sum(0).tolist() == [K // 2] * ROWS


def test_a_row_that_was_cut_out_or_never_asked_about_is_unknown() -> None:
    known = references()
    known.margins[:, 3] = torch.nan

    pool = view(known, torch.tensor([4, 5, 6, 1000]))

    assert pool.out.any(0).tolist() == [True, False, False, False]


def test_what_training_on_a_row_raises_is_seen_where_both_sides_are_known() -> None:
    known = references()
    known.margins[:] = 3.0 * known.trained

    found = view(known, known.rows).memorised

    assert found[: ROWS // 2] == pytest.approx(3.0)
    assert np.isnan(found[ROWS // 2 :]).all()


# ---- scores ------------------------------------------------------------------------------------


def test_rmia_is_the_share_of_the_population_that_it_beats_by_the_definition() -> None:
    rng, pool = np.random.default_rng(1), normal(30)
    margins, a = rng.normal(size=30), 0.3
    seldom = ((1 + a) * special.expit(pool.margins).mean(0) + 1 - a) / 2
    ratios = special.expit(margins) / seldom
    beaten = [(x / ratios >= 1).mean() for x in ratios]

    found = rmia(margins, pool, a)

    assert stats.spearmanr(found, beaten).statistic == pytest.approx(1.0)
    assert found == pytest.approx(np.log(ratios))


def test_a_margin_without_residue_stands_where_chance_puts_it() -> None:
    rng, pool = np.random.default_rng(2), normal(5000)

    found = standing(rng.normal(size=5000), pool)

    assert (stats.norm.sf(found) < 0.05).mean() == pytest.approx(0.05, abs=0.01)


def test_few_models_borrow_the_spread_of_all() -> None:
    pool = normal(2000, out=2)
    tight = np.argmin(pool.margins.std(0))

    alone = abs(1.0 - pool.margins[:, tight].mean()) / pool.margins[:, tight].std(ddof=1)

    assert abs(standing(np.ones(2000), pool)[tight]) < 3 < alone


def test_a_model_that_is_surer_of_everything_is_levelled() -> None:
    rng, classes = np.random.default_rng(3), np.repeat([0, 1], 500)
    shift = 3.0 * classes + 2.0

    mine, yours = levelled(
        rng.normal(shift, 1 + classes), rng.normal(shift, 1 + classes), classes, classes
    )

    assert np.median(yours) == pytest.approx(0.0, abs=0.01)
    assert stats.ks_2samp(mine, yours).pvalue > 0.01


def test_nobody_is_levelled_by_a_stratum_that_no_forgotten_row_is_in() -> None:
    ours, theirs = np.zeros(20, np.int64), np.repeat([0, 1], 50)

    mine, yours = levelled(np.arange(20.0), np.arange(100.0), ours, theirs)

    assert len(yours) == 50
    assert np.median(yours) == 0.0
    assert mine.tolist() == sorted(mine.tolist())


def test_strata_are_steps_of_hardness_within_a_class() -> None:
    pool = normal(200)
    classes = np.repeat([0, 1], 100)

    ours, theirs = bins(pool, pool, classes, classes, 10)

    assert np.array_equal(ours, theirs)
    assert np.bincount(ours).tolist() == [10] * 20
    for stratum in range(1, 10):
        hardest = pool.hardness[ours == stratum].min()
        assert hardest >= pool.hardness[ours == stratum - 1].max()
