"""What a half is trained on, and how its margins are kept."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from workers import halves


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=80, unique=True),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_a_half_takes_half_of_every_group_give_or_take_one(
    rows: list[int], kinds: int, seed: int
) -> None:
    mine = torch.tensor(sorted(rows))
    groups = mine % kinds

    chosen = halves.half(mine, groups, seed)

    assert chosen.tolist() == sorted(set(chosen.tolist()) & set(rows))
    for kind in range(kinds):
        whole, part = int((groups == kind).sum()), int((chosen % kinds == kind).sum())
        assert abs(2 * part - whole) <= 1


def test_a_seed_decides_a_half_and_another_gives_another() -> None:
    rows, groups = torch.arange(40), torch.zeros(40, dtype=torch.int64)

    once, again, other = (halves.half(rows, groups, seed) for seed in (1, 1, 2))

    assert once.equal(again)
    assert not once.equal(other)


@given(st.sets(st.integers(0, 70)), st.integers(71, 90))
def test_rows_are_a_bit_each_and_come_back(rows: set[int], count: int) -> None:
    bits = halves.packed(torch.tensor(sorted(rows), dtype=torch.int64), count)

    assert len(bits) == (count + 7) // 8
    assert halves.unpacked(bits, count).nonzero().flatten().tolist() == sorted(rows)
    assert [row for row in range(count) if bits[row >> 3] >> (row & 7) & 1] == sorted(rows)


def test_margins_come_back_by_row_and_what_was_cut_out_is_not_a_number() -> None:
    rows = torch.tensor([2, 5, 9])
    blob = halves.dump_margins(rows, torch.tensor([0.5, -1.0, 3.0]))

    found = halves.spread(blob, torch.tensor([0, 2, 9]))

    assert found[1:].tolist() == [0.5, 3.0]
    assert found.isnan().tolist() == [True, False, False]
