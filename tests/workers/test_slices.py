"""Fresh never-trained images for each attempt: nobody chooses, and people stay together."""

import torch
from torch import Tensor

from workers.slices import Slice, fresh

ROWS, FORGET = 30_000, 200
LABELS = torch.arange(ROWS) % 2
ALONE = torch.arange(ROWS)
OURS, UNSEEN = torch.arange(FORGET), torch.arange(FORGET, ROWS)


def cut(
    attempt: int,
    *,
    unseen: Tensor = UNSEEN,
    forget: Tensor = OURS,
    people: Tensor = ALONE,
    key: bytes = b"key",
) -> Slice:
    return fresh(unseen, forget, LABELS, people, attempt=attempt, key=key)


def test_attempts_are_judged_on_different_images_until_there_are_no_more() -> None:
    first, *others = [cut(attempt) for attempt in range(1, 7)]

    met = torch.cat([first.rows, *(each.rows for each in others[:4])])
    assert torch.equal(met.sort().values, UNSEEN)
    assert [each.told() for each in (first, others[3], others[4])] == [
        {"number": 1, "of": 5, "reused": False},
        {"number": 5, "of": 5, "reused": False},
        {"number": 1, "of": 5, "reused": True},
    ]
    assert torch.equal(others[4].rows, first.rows)


def test_a_slice_is_a_fair_share_in_the_order_of_rows() -> None:
    rows = cut(2).rows

    assert torch.equal(rows, rows.sort().values)
    assert abs(len(rows) - len(UNSEEN) / 5) < 300
    assert abs(int(LABELS[rows].sum()) - len(rows) / 2) < 200


def test_the_key_decides_and_nobody_else() -> None:
    assert torch.equal(cut(1).rows, cut(1).rows)
    assert not torch.equal(cut(1).rows, cut(1, key=b"another").rows)


def test_images_of_a_person_stay_together() -> None:
    people = ALONE // 7

    parts = [set(people[cut(attempt, people=people).rows].tolist()) for attempt in (1, 2)]

    assert parts[0].isdisjoint(parts[1])


def test_too_few_images_are_not_cut_and_the_second_attempt_says_so() -> None:
    few = UNSEEN[:1900]

    first, second = cut(1, unseen=few), cut(2, unseen=few)

    assert torch.equal(first.rows, few)
    assert torch.equal(second.rows, few)
    assert (first.of, first.reused, second.reused) == (1, False, True)


def test_a_class_with_few_never_trained_images_decides_how_often_all_are_cut() -> None:
    rare = torch.cat([UNSEEN[LABELS[UNSEEN] == 0], UNSEEN[LABELS[UNSEEN] == 1][:1200]])

    assert cut(1, unseen=rare).of == 2


def test_many_forgotten_images_are_kept_beside_enough_to_resolve_one_in_a_thousand() -> None:
    many = torch.arange(1000)

    assert cut(1, unseen=torch.arange(1000, ROWS), forget=many).of == 2


def test_without_never_trained_images_there_is_one_empty_slice() -> None:
    found = cut(1, unseen=UNSEEN[:0])

    assert (len(found.rows), found.of) == (0, 1)
