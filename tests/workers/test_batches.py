"""What goes into a step: the order of images, images beside them, augmentation, learning rates."""

from dataclasses import replace

import pytest
import torch
from given import world
from hypothesis import given as for_all
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from workers.batches import Feed, crop_flip
from workers.kinds import Recipe
from workers.schedules import rate

RECIPE = Recipe(epochs=2, batch_size=16, learning_rate=0.05, schedule="constant")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- batches -----------------------------------------------------------------------------------


@for_all(
    size=st.integers(1, 50), share=st.sampled_from([0.0, 0.3, 1.0, 5.0]), seed=st.integers(0, 9)
)
def test_an_epoch_shows_the_main_set_once_and_its_share_beside_it(
    size: int, share: float, seed: int
) -> None:
    given = world()
    feed = Feed(main=given.forget, beside=given.retain, share=share)

    batches = list(feed.epoch(size, rng(seed)))

    shown = torch.cat([batch.which for batch in batches])
    beside = sum(len(batch.images) - len(batch.which) for batch in batches)
    assert shown.sort().values.tolist() == list(range(len(given.forget)))
    assert beside == round(share * len(given.forget))
    assert len(batches) == feed.steps(size)


def test_images_beside_come_each_once_before_any_comes_again() -> None:
    given = world()
    feed = Feed(main=given.retain, beside=given.forget, share=1.0)

    epoch = feed.epoch(len(given.retain), rng())

    images = next(epoch).images[len(given.retain) :]
    counts = [sum(torch.equal(a, b) for b in images) for a in given.forget.at(torch.arange(12))[0]]
    assert set(counts) == {len(given.retain) // len(given.forget)}


@for_all(size=st.integers(1, 50), share=st.sampled_from([0.0, 0.3, 3.0]), shown=st.integers(0, 2))
def test_sets_that_are_kept_apart_follow_each_other(size: int, share: float, shown: int) -> None:
    given, recipe = world(), replace(RECIPE, batch_size=size)
    feed = Feed(main=given.forget, beside=given.retain, share=share, apart=True, rounds=shown)

    found = list(feed.walk(recipe, rng()))

    for epoch in range(recipe.epochs):
        batches = [batch for place, batch in found if place.epoch == epoch]
        mine = [len(batch.which) for batch in batches]
        assert all(m in {0, len(b.images)} for m, b in zip(mine, batches, strict=True))
        assert mine == sorted(mine, key=lambda m: m == 0)
        assert sum(mine) == (12 if epoch < shown else 0)
        assert sum(len(b.images) for b in batches) - sum(mine) == round(12 * share)
    assert [place.done for place, _ in found] == list(range(feed.total(recipe)))


def test_a_run_goes_on_where_it_was() -> None:
    feed, chance = Feed(main=world().retain), rng()
    whole = [batch.which for _, batch in feed.walk(RECIPE, chance)]
    half = feed.steps(RECIPE.batch_size)
    later = rng()
    list(feed.epoch(RECIPE.batch_size, later))

    rest = [(place, batch.which) for place, batch in feed.walk(RECIPE, later, begun=1)]

    assert [place.done for place, _ in rest] == list(range(half, 2 * half))
    assert [place.last for place, _ in rest] == [False] * (half - 1) + [True]
    assert all(torch.equal(a, b) for a, (_, b) in zip(whole[half:], rest, strict=True))


def test_a_single_image_left_over_joins_the_batch_before() -> None:
    feed = Feed(main=world(forget=9).forget)

    assert [len(batch.which) for batch in feed.epoch(4, rng())] == [4, 5]


def test_labels_to_learn_go_with_their_images() -> None:
    given = world()
    feed = Feed(main=given.forget, targets=torch.arange(100, 112))

    for batch in feed.epoch(5, rng()):
        assert torch.equal(batch.labels, 100 + batch.which)


def test_there_is_nothing_to_train_on() -> None:
    given = world()

    with pytest.raises(ValueError, match="no images to train on"):
        Feed(main=given.holdout)


def test_an_augmentation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'mixup'"):
        Feed(main=world().forget, augment="mixup")


@for_all(seed=st.integers(0, 1000))
def test_a_crop_is_a_window_of_the_padded_image_or_its_mirror(seed: int) -> None:
    image = torch.rand(1, 2, 6, 6, generator=rng(seed)) + 0.1
    padded = nn.functional.pad(image, (4, 4, 4, 4))

    cropped = crop_flip(image, rng(seed))

    windows = [padded[:, :, y : y + 6, x : x + 6] for y in range(9) for x in range(9)]
    assert any(torch.equal(cropped, each) or torch.equal(cropped, each.flip(3)) for each in windows)


# ---- learning rates ----------------------------------------------------------------------------


def test_one_cycle_is_pytorchs() -> None:
    recipe = Recipe(schedule="one_cycle", learning_rate=0.15, warmup=0.25)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.15)
    theirs = OneCycleLR(optimiser, 0.15, total_steps=200, pct_start=0.25, cycle_momentum=False)
    expected = []
    for _ in range(200):
        expected.append(theirs.get_last_lr()[0])
        optimiser.step()
        if len(expected) < 200:
            theirs.step()

    ours = [rate(recipe, done, 200) for done in range(200)]

    assert ours == pytest.approx(expected, abs=0.004)
    assert max(ours) == pytest.approx(0.15)


@for_all(
    schedule=st.sampled_from(["constant", "cosine", "one_cycle"]),
    total=st.integers(1, 500),
    warmup=st.floats(0, 1),
)
def test_a_rate_is_never_above_the_peak_nor_below_zero(
    schedule: str, total: int, warmup: float
) -> None:
    recipe = Recipe(schedule=schedule, warmup=warmup, learning_rate=0.3)

    assert all(0 <= rate(recipe, done, total) <= 0.3 + 1e-12 for done in range(total))


def test_a_schedule_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'steps'"):
        rate(Recipe(schedule="steps"), 0, 10)
