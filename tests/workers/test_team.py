"""How a batch is shared among processes, without any."""

import pytest
import torch
from torch import distributed

from workers import team
from workers.batches import Batch


def batch(mine: int, beside: int) -> Batch:
    count = mine + beside
    return Batch(
        images=torch.arange(count).float().view(count, 1, 1, 1),
        labels=torch.arange(count),
        which=100 + torch.arange(mine),
        beside=200 + torch.arange(beside),
        seed=7,
    )


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """As process 1 of two sees it."""
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)


def test_each_takes_its_part_of_either_set(of_two: None) -> None:
    found = team.share(batch(4, 6))

    assert found.labels.tolist() == [2, 3, 7, 8, 9]
    assert found.images.flatten().tolist() == [2, 3, 7, 8, 9]
    assert found.which.tolist() == [102, 103]
    assert found.beside.tolist() == [203, 204, 205]
    assert found.seed == 8


@pytest.mark.parametrize(("mine", "beside"), [(3, 4), (4, 3), (2, 0)])
def test_what_cannot_be_cut_evenly_is_learned_whole_by_all(
    of_two: None, mine: int, beside: int
) -> None:
    whole = batch(mine, beside)

    assert team.share(whole) is whole


def test_one_process_learns_everything() -> None:
    whole = batch(4, 6)

    assert team.size() == 1
    assert team.share(whole) is whole
