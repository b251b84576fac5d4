"""bfloat16 beside float32: the same predictions, the same figures."""

from copy import deepcopy
from functools import cache

import pytest
import torch
import toy
from torch import Tensor, nn

from workers.data.pixels import Resident
from workers.evidence import Scores
from workers.kinds import Given, Recipe, Samples
from workers.methods.boundary_expanding import BoundaryExpanding
from workers.methods.boundary_shrink import BoundaryShrink
from workers.methods.l1_sparse import L1Sparse
from workers.scoring import score
from workers.signals import correct, margin
from workers.statistics import auc
from workers.training import fit

TRAINED, TESTED = 2000, 4000
METHODS = (BoundaryExpanding(), BoundaryShrink(), L1Sparse())


@cache
def pictures() -> Samples:
    """Patterns of four classes under noise: training rows first."""
    chance = torch.Generator().manual_seed(0)
    patterns = torch.rand(toy.CLASSES, 8, 8, 1, generator=chance)
    labels = torch.randint(toy.CLASSES, (TRAINED + TESTED,), generator=chance)
    noise = torch.randn(len(labels), 8, 8, 1, generator=chance)
    images = 127 + 60 * (patterns[labels] - 0.5) + 45 * noise
    pixels = Resident(images.clamp(0, 255).to(torch.uint8))
    return Samples(pixels, labels, torch.arange(len(labels)))


def part(*, train: bool, gone: bool) -> Tensor:
    rows, labels = pictures().index, pictures().labels
    return rows[((rows < TRAINED) == train) & ((labels == toy.GONE) == gone)]


def given(precision: str) -> Given:
    forget, retain = (pictures().take(part(train=True, gone=gone)) for gone in (True, False))
    return Given(
        forget=forget,
        retain=retain,
        holdout=retain.take(torch.zeros(0, dtype=torch.int64)),
        classes=toy.CLASSES,
        fresh=toy.net,
        rng=torch.Generator().manual_seed(0),
        precision=precision,
    )


@cache
def original() -> nn.Module:
    net, recipe = toy.net(0), Recipe(epochs=4, batch_size=64, learning_rate=0.05)
    for _ in fit(net, pictures().take(torch.arange(TRAINED)), recipe, rng=torch.Generator()):
        pass
    return net


def scored(model: nn.Module, precision: str) -> Scores:
    return score(model, pictures(), precision=precision)


def figures(scores: Scores) -> list[float]:
    """Accuracy on D_f, D_r, D_ft, D_rt, and the attack on the class."""
    parts = [part(train=train, gone=gone) for train in (True, False) for gone in (True, False)]
    known, unseen = (margin(scores.of(part(train=train, gone=True))) for train in (True, False))
    return [float(correct(scores.of(rows)).mean()) for rows in parts] + [auc(known, unseen).value]


def test_predictions_and_figures_of_a_model_are_those_of_float32() -> None:
    half, full = (scored(original(), precision) for precision in ("bf16", "fp32"))

    same = (half.logits.argmax(1) == full.logits.argmax(1)).double().mean()

    assert same >= 0.995
    assert figures(half) == pytest.approx(figures(full), abs=0.005)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_a_method_ends_at_the_figures_of_float32(method: BoundaryExpanding) -> None:
    ends = []
    for precision in ("bf16", "fp32"):
        net = deepcopy(original())
        for _ in method.unlearn(net, given(precision)):
            pass
        ends.append(figures(scored(net, precision)))

    assert ends[0] == pytest.approx(ends[1], abs=0.005)
