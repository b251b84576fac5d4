"""Pixels from afar: the rows asked for, each fetched as seldom as the disk allows, never a withdrawn one."""

from collections.abc import Sequence
from threading import Event

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.batches import Feed
from workers.data.ahead import FORESEEN, Ahead
from workers.data.streamed import Streamed, Withdrawn
from workers.kinds import Samples, as_images

CPU = torch.device("cpu")
SHAPE = (2, 3, 1)
ROW = 6
ENDS = (4, 5, 12)


class Far:
    """An object store that writes down what is asked of it."""

    def __init__(self) -> None:
        self.images = torch.arange(12 * ROW, dtype=torch.uint8).view(12, *SHAPE)
        self.asked: list[tuple[int, int]] = []

    def fetch(self, runs: Sequence[tuple[int, int]]) -> list[bytes]:
        self.asked += runs
        return [self.images[first:last].numpy().tobytes() for first, last in runs]

    def opened(self, cache_rows: int = 0, withdrawn: Sequence[int] = ()) -> Streamed:
        return Streamed(
            SHAPE, ENDS, self.fetch, CPU, withdrawn=withdrawn, cache_bytes=cache_rows * ROW
        )

    @property
    def rows(self) -> list[int]:
        """Every row that was fetched, as often as it was."""
        return [row for first, last in self.asked for row in range(first, last)]


@given(st.lists(st.lists(st.integers(0, 11)), max_size=4), st.integers(0, 12))
def test_rows_come_in_the_order_asked_however_many_are_kept(
    batches: list[list[int]], room: int
) -> None:
    far = Far()
    pixels = far.opened(room)

    for batch in batches:
        rows = torch.tensor(batch, dtype=torch.int64)
        assert torch.equal(pixels.gather(rows), far.images[rows])

    kept = list(dict.fromkeys(row for batch in batches for row in sorted(set(batch))))[:room]
    assert all(far.rows.count(row) == 1 for row in kept)


def test_neighbours_travel_together_but_not_from_two_shards() -> None:
    far = Far()

    far.opened().gather(torch.tensor([3, 9, 2, 4, 8, 5]))

    assert far.asked == [(2, 4), (4, 5), (5, 6), (8, 10)]


def test_a_withdrawn_row_is_refused_and_never_fetched() -> None:
    far = Far()
    pixels = far.opened(12, withdrawn=[2, 7])

    with pytest.raises(Withdrawn, match="Row 7"):
        pixels.gather(torch.tensor([1, 7]))
    images = pixels.everything()

    assert sorted(far.rows) == [row for row in range(12) if row not in {2, 7}]
    assert images[[2, 7]].eq(0).all()
    others = [0, 1, 3, 4, 5, 6, 8, 9, 10, 11]
    assert torch.equal(images[others], far.images[others])


def test_a_row_beyond_the_dataset_is_refused() -> None:
    with pytest.raises(IndexError, match="12 rows"):
        Far().opened().gather(torch.tensor([0, 12]))


def test_what_is_expected_is_brought_while_nobody_waits_for_it() -> None:
    brought, asked = Event(), []

    def bring(rows: np.ndarray) -> torch.Tensor:
        asked.append(rows.tolist())
        if len(asked) == FORESEEN:
            brought.set()
        return torch.from_numpy(rows)

    ahead = Ahead(bring)
    for first in range(FORESEEN + 1):  # one more than may be held
        ahead.expect(torch.tensor([first]))

    assert brought.wait(60)
    assert ahead.take(torch.tensor([0])).tolist() == [0]
    assert asked == [[row] for row in range(FORESEEN)]


def test_a_batch_that_nobody_expected_is_brought_and_what_was_expected_is_let_go() -> None:
    far = Far()
    pixels = far.opened()
    pixels.expect(torch.tensor([1]))

    found = pixels.gather(torch.tensor([3]))
    pixels.expect(torch.tensor([4]))
    pixels.expect(torch.tensor([5]))

    assert torch.equal(found, far.images[[3]])
    assert torch.equal(pixels.gather(torch.tensor([5])), far.images[[5]])


def test_all_batches_but_the_first_have_been_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    far, expected, unforeseen = Far(), set[bytes](), list[torch.Tensor]()
    pixels = far.opened()
    expect, gather = pixels.expect, pixels.gather

    def noted(rows: torch.Tensor) -> None:
        expected.add(rows.numpy().tobytes())
        expect(rows)

    def checked(rows: torch.Tensor) -> torch.Tensor:
        if rows.numpy().tobytes() not in expected:
            unforeseen.append(rows)
        return gather(rows)

    monkeypatch.setattr(pixels, "expect", noted)
    monkeypatch.setattr(pixels, "gather", checked)
    labels, rows = torch.zeros(12), torch.arange(12)
    main, beside = Samples(pixels, labels, rows[:8]), Samples(pixels, labels, rows[8:])

    batches = list(Feed(main=main, beside=beside, share=0.5).epoch(2, torch.Generator()))
    first, unforeseen[:] = len(unforeseen), []
    expected.clear()
    passed = list(main.batches(3))

    assert (len(batches), first) == (4, 2)  # of either set
    assert (len(passed), len(unforeseen)) == (3, 1)
    assert torch.equal(torch.cat([images for images, _ in passed]), as_images(far.images[:8]))
