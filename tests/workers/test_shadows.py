"""The attack of tier 2: nothing is seen where there is nothing, and its intervals hold."""

import numpy as np
import pytest
import shadowed
import torch
from scipy import stats
from shadowed import Law

from workers import roles, shadows, showings
from workers.roles import Role
from workers.showings import Table
from workers.statistics import Flags, auc

NOBODY = torch.zeros(0, dtype=torch.int64)


def seen(law: Law, seed: int, size: int = 40, number: int = 12) -> Table:
    return showings.table(shadowed.samples(law, seed, size, number), NOBODY)


def parts(table: Table) -> tuple[Flags, Flags]:
    return table.roles == Role.UNLEARN, table.roles == Role.OUT


def unlearned(table: Table) -> shadows.Area:
    members, others = parts(table)
    return shadows.area(shadows.attack(table.after, members, others), members, others)


# ---- who is planted ------------------------------------------------------------------------------


def test_each_row_plays_each_part_once_in_a_block_class_by_class() -> None:
    rows, labels = torch.arange(60), torch.arange(60) % 4

    block = torch.stack([roles.thirds(rows, labels, 7, number).roles for number in range(3)])
    another = roles.thirds(rows, labels, 7, 3).roles

    assert block.sort(0).values.T.tolist() == [[0, 1, 2]] * 60
    for part in Role:
        assert torch.bincount(labels[block[0] == part]).tolist() == [5, 5, 5, 5]
    assert not any(torch.equal(another, each) for each in block)


def test_coins_are_fair_and_no_label_is_the_true_one() -> None:
    rows = torch.arange(4000)
    cast = roles.coins(rows, rows % 10, 10, seed=3)

    assert abs(len(cast.of(Role.UNLEARN)) - 2000) < 4 * 32
    assert len(cast.of(Role.IN)) == 0
    assert not (cast.labels == rows % 10).any()
    assert torch.bincount(cast.labels, minlength=10).min() > 300


def test_of_a_class_two_thirds_are_learned_and_the_rest_is_like_them() -> None:
    rows = torch.arange(100, 400)
    labels = rows % 3
    cast = roles.class_run(rows, labels, 1, seed=5)

    mine = cast.labels == 1
    assert (cast.roles[mine] == Role.UNLEARN).sum() == 66
    assert (cast.roles[mine] == Role.OUT).sum() == 34
    assert (cast.roles[~mine] == Role.OUT).all()
    assert (~mine).sum() == 20
    turns = [roles.turn_of(labels, number, 9) for number in range(6)]
    assert sorted(turns[:3]) == [0, 1, 2]
    assert turns[3:] == turns[:3]


def test_what_was_forgotten_meanwhile_is_left_out_of_the_table() -> None:
    said = shadowed.samples(Law(), seed=1, size=10, shadows=9)
    first, *others = said
    shorter = [first, *(each.of(each.rows != 4) for each in others)]

    table = showings.table(shorter, torch.tensor([8]))

    assert table.roles.shape == (9, 28)
    assert showings.read(showings.dump(first)).after.tolist() == first.after.tolist()


# ---- the attack ----------------------------------------------------------------------------------


def test_it_sees_what_is_left_either_way_and_nothing_where_nothing_is() -> None:
    found = {left: unlearned(seen(Law(left=left), 3)).value for left in (-0.4, 0.0, 0.4)}

    assert found[0.4] > 0.62
    assert found[-0.4] > 0.62
    assert found[0.0] == pytest.approx(0.5, abs=0.05)


def test_a_net_that_never_saw_the_rows_gives_one_half_on_average_and_the_bounds_hold() -> None:
    areas = [unlearned(seen(Law(), seed, size=16, number=9)) for seed in range(1000)]
    values = np.array([area.value for area in areas])

    assert values.mean() == pytest.approx(0.5, abs=4 * values.std() / 1000**0.5)
    too_low = sum(area.interval(0.9).high < 0.5 for area in areas)
    too_high = sum(area.interval(0.95).low > 0.5 for area in areas)
    assert stats.binom.sf(too_low - 1, 1000, 0.05) > 0.01  # no more than 5 % by more than chance
    assert stats.binom.sf(too_high - 1, 1000, 0.025) > 0.01
    assert np.mean([area.variance for area in areas]) == pytest.approx(values.var(), rel=0.3)


def test_the_area_is_the_mean_over_shadows_of_counted_pairs() -> None:
    table = seen(Law(left=0.5), 5, size=8, number=9)
    members, others = parts(table)
    scores = shadows.attack(table.after, members, others)

    counted = [
        auc(line[mine], line[theirs]).value
        for line, mine, theirs in zip(scores, members, others, strict=True)
    ]

    assert shadows.area(scores, members, others).value == pytest.approx(np.mean(counted))


def test_the_scores_of_a_shadow_hang_on_no_part_of_its_own_block() -> None:
    table = seen(Law(left=0.5), 6, size=8, number=9)
    members, others = parts(table)
    moved = table.after.copy()
    moved[1:3] += 5.0

    kept = shadows.attack(table.after, members, others)[0]

    assert shadows.attack(moved, members, others)[0] == pytest.approx(kept)


def test_rows_that_come_again_count_as_one_for_a_rate() -> None:
    scores = np.tile(np.arange(40.0), (9, 1))
    members = np.zeros((9, 40), np.bool_)
    members[:, 20:] = True

    found = shadows.found(scores, members, ~members, 0.05)

    assert (found.rate, found.sure) == (1.0, 20.0)
    low, high = found.bounds(0.95)
    assert (low, high) == (pytest.approx(0.05 ** (1 / 20)), 1.0)
    nothing = shadows.found(-scores, members, ~members, 0.05)
    assert nothing.bounds(0.95) == (0.0, pytest.approx(1 - 0.05 ** (1 / 20)))


def test_single_rows_that_differ_are_counted_and_others_are_not() -> None:
    clean, leaking = seen(Law(), 8, number=24), seen(Law(left=1.0), 8, number=24)

    share = [(shadows.differences(t.after, t.roles) < 0.05).mean() for t in (clean, leaking)]

    assert share[0] < 0.12
    assert share[1] > 0.5
