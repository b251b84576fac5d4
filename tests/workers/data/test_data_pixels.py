"""Pixels come back in the order asked, wherever they lie."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.data.pixels import Mapped, Resident, free_bytes, open_pixels
from workers.kinds import Samples

CPU = torch.device("cpu")


def shards(folder: Path, counts: list[int], channels: int = 3) -> tuple[list[Path], torch.Tensor]:
    paths, parts = [], []
    for number, count in enumerate(counts):
        rng = np.random.default_rng(number)
        part = rng.integers(0, 256, (count, 4, 5, channels), np.uint8)
        np.save(folder / f"{number}.npy", part)
        paths.append(folder / f"{number}.npy")
        parts.append(torch.from_numpy(part))
    return paths, torch.cat(parts)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.data())
def test_mapped_and_resident_give_the_rows_asked_in_the_order_asked(
    counts: list[int], data: st.DataObject
) -> None:
    rows = torch.tensor(data.draw(st.lists(st.integers(0, sum(counts) - 1))), dtype=torch.int64)

    with TemporaryDirectory() as folder:
        paths, images = shards(Path(folder), counts)
        resident, mapped = open_pixels(paths, CPU), open_pixels(paths, CPU, budget_bytes=0)

        assert isinstance(resident, Resident)
        assert isinstance(mapped, Mapped)
        assert resident.shape == mapped.shape == (4, 5, 3)
        assert torch.equal(resident.gather(rows), images[rows])
        assert torch.equal(mapped.gather(rows), images[rows])


def test_the_budget_decides_to_the_byte_where_images_lie(tmp_path: Path) -> None:
    paths, images = shards(tmp_path, [3, 2])

    assert isinstance(open_pixels(paths, CPU, budget_bytes=images.numel()), Resident)
    assert isinstance(open_pixels(paths, CPU, budget_bytes=images.numel() - 1), Mapped)


@pytest.mark.parametrize("budget", [None, 0])
def test_samples_read_images_from_shards_as_floats_from_zero_to_one(
    budget: int | None, tmp_path: Path
) -> None:
    paths, images = shards(tmp_path, [3, 2], channels=1)
    samples = Samples(open_pixels(paths, CPU, budget), torch.arange(5), torch.tensor([4, 0, 2]))

    pictures, labels = samples.at(torch.tensor([1, 0]))

    assert labels.tolist() == [0, 4]
    assert torch.equal(pictures, images[[0, 4]].permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("budget", [None, 0])
@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_beyond_the_dataset_is_refused(budget: int | None, row: int, tmp_path: Path) -> None:
    pixels = open_pixels(shards(tmp_path, [3, 2])[0], CPU, budget)

    with pytest.raises(IndexError):
        pixels.gather(torch.tensor([0, row]))


def test_many_shards_need_no_open_files(tmp_path: Path) -> None:
    paths, _ = shards(tmp_path, [1] * 50)
    before = len(list(Path("/proc/self/fd").iterdir()))

    pixels = open_pixels(paths, CPU, budget_bytes=0)

    assert len(list(Path("/proc/self/fd").iterdir())) - before < 5
    assert pixels.gather(torch.arange(50)).shape == (50, 4, 5, 3)


def test_shards_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    paths, _ = shards(tmp_path, [2])
    np.save(tmp_path / "grey.npy", np.zeros((2, 4, 5, 1), np.uint8))
    np.save(tmp_path / "floats.npy", np.zeros((2, 4, 5, 3), np.float32))

    with pytest.raises(ValueError, match="images of one shape"):
        open_pixels([*paths, tmp_path / "grey.npy"], CPU)
    with pytest.raises(ValueError, match=r"floats\.npy holds float32"):
        open_pixels([tmp_path / "floats.npy"], CPU)
    with pytest.raises(ValueError, match="The 0 shards"):
        open_pixels([], CPU)


def test_free_memory_is_measured() -> None:
    assert 1 << 20 < free_bytes(CPU) < 1 << 50
