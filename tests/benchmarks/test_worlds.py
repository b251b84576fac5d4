"""Who was trained on what hangs on IDs alone, and half models split what they are drawn from."""

import hashlib
from math import inf
from pathlib import Path

import pytest
import torch

from benchmarks.measure import Images
from benchmarks.pool import Pooled, TooLate
from workers import halves
from workers.data.pixels import Resident
from workers.kinds import Samples

N, CLASSES = 80, 10
IDS = [f"sample-{row}" for row in range(N)]
SLICE = range(0, N, 4)
"""Trained on; a tenth of it from each class, as of all others."""


def images() -> Images:
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (N, 32, 32, 3), dtype=torch.uint8, generator=chance)
    labels = torch.arange(N) // 4 % CLASSES
    return Images(Samples(Resident(pixels), labels, torch.arange(N)), IDS, torch.arange(N) % 4 < 3)


def opened(folder: Path, until: float = inf) -> Pooled:
    models = folder / "models"
    models.mkdir(exist_ok=True)
    (models / "slice_ids.txt").write_text("".join(f"{IDS[row]}\n" for row in SLICE))
    return Pooled.opened(images(), models, folder / "cache", until)


def test_what_the_list_does_not_name_was_never_trained_on(tmp_path: Path) -> None:
    world = opened(tmp_path).world
    train = set(images().train.nonzero().flatten().tolist())

    assert world.trained.tolist() == list(SLICE)
    assert set(world.holdout.tolist()) == train - set(SLICE)


def test_samples_are_those_with_the_smallest_hash_whatever_their_order(tmp_path: Path) -> None:
    world = opened(tmp_path).world
    hashed = {row: hashlib.sha256(f"forget {IDS[row]}".encode()).hexdigest() for row in SLICE}

    chosen = world.forget("samples:7").tolist()

    assert chosen == sorted(sorted(SLICE, key=hashed.__getitem__)[:7])
    assert not set(chosen) & set(world.retain(torch.tensor(chosen)).tolist())
    assert world.gone(torch.tensor(chosen)) == []


def test_a_class_is_gone_and_its_unseen_images_stand_beside_it(tmp_path: Path) -> None:
    world = opened(tmp_path).world
    labels = world.images.labels

    forget = world.forget("class:4")
    parts = world.plan(forget).parts

    assert set(labels[forget].tolist()) == {4}
    assert world.gone(forget) == [4]
    assert 4 not in labels[parts["retain"]]
    assert torch.equal(parts["nonmembers"], world.holdout)
    assert set(labels[parts["forget_test"]].tolist()) == {4}
    assert not world.images.train[parts["forget_test"]].any()


def test_a_half_and_the_next_split_the_slice_and_as_many_unseen_images(tmp_path: Path) -> None:
    part = opened(tmp_path)

    (first, margins), (second, _) = part._half(0), part._half(1)

    both, labels = torch.cat([first, second]), part.world.images.labels
    assert len(both.unique()) == len(both) == 2 * len(part.world.trained)
    assert torch.isin(both, part.world.trained).sum() == len(part.world.trained)
    assert torch.equal(labels[first].bincount(), labels[second].bincount())
    assert margins.shape == (N,)


def test_what_lies_in_the_cache_is_not_built_again(tmp_path: Path) -> None:
    part, every = opened(tmp_path), torch.arange(N)
    for k in range(8):
        table = halves.dump_margins(every[k::8], torch.full((N,), float(k)))
        (part.cache / f"half_{k}.safetensors").write_bytes(table)

    found = part.references(torch.tensor([3, 4, 11]))

    assert found.margins[:, 0].tolist() == list(range(8))
    assert found.trained.nonzero().tolist() == [[3, 0], [3, 2], [4, 1]]


def test_nothing_is_built_once_the_time_is_over(tmp_path: Path) -> None:
    with pytest.raises(TooLate):
        opened(tmp_path, until=0.0).without("samples:7")

    assert not list((tmp_path / "cache").iterdir())
