"""The sets of the benchmark are disjoint where they must be, and hang on sample IDs alone."""

import hashlib

import torch

from benchmarks.measure import Images, of_class, of_samples
from workers.data.pixels import Resident
from workers.kinds import Samples

N = 400
LABELS = torch.arange(N) % 5
IDS = [f"sample-{row}" for row in range(N)]


def images() -> Images:
    pixels = Resident(torch.zeros(N, 2, 2, 1, dtype=torch.uint8))
    return Images(Samples(pixels, LABELS, torch.arange(N)), IDS, torch.arange(N) % 4 > 0)


def test_test_images_are_the_half_that_was_not_tuned_on() -> None:
    sets = of_class(images(), 2)
    unseen = torch.cat([sets.retain_test, sets.forget_test]).tolist()

    first_bytes = {hashlib.sha256(IDS[row].encode()).digest()[0] % 2 for row in unseen}
    others = [row for row in range(0, N, 4) if row not in unseen]

    assert first_bytes == {1}
    assert all(hashlib.sha256(IDS[row].encode()).digest()[0] % 2 == 0 for row in others)


def test_a_class_is_kept_apart_and_compared_with_its_own() -> None:
    sets = of_class(images(), 2)

    assert set(LABELS[sets.forget].tolist()) == {2}
    assert 2 not in LABELS[sets.retain]
    assert 2 not in LABELS[sets.retain_test]
    assert set(LABELS[sets.forget_test].tolist()) == {2}
    assert torch.equal(sets.nonmembers, sets.forget_test)


def test_named_samples_and_those_that_some_model_never_saw_are_not_retained() -> None:
    trained = [row for row in range(N) if row % 4]
    strangers = [IDS[row] for row in trained[:50]]

    sets = of_samples(images(), strangers[:3], strangers)

    assert sets.forget.tolist() == trained[:3]
    assert not set(sets.retain.tolist()) & set(trained[:50])
    assert len(sets.forget_test) == 0
    assert set(LABELS[sets.nonmembers].tolist()) == set(LABELS[sets.forget].tolist())
