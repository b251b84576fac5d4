"""How far methods go that climb, or leave a teacher, and what they do without retain images."""

from dataclasses import replace
from math import log

import pytest
import torch
from given import CLASSES, again, carried_out, net, world
from torch.nn.functional import cross_entropy

from workers.methods.gradient_ascent import GradientAscent
from workers.methods.neggrad_plus import NeggradPlus
from workers.methods.salun import Salun
from workers.methods.scrub import Scrub
from workers.push import enough


@pytest.mark.parametrize("method", [Salun(retain_share=0), NeggradPlus(retain_share=0)])
def test_without_retain_images_only_the_forget_set_counts(method: Salun | NeggradPlus) -> None:
    losses = [step.loss for step in method.unlearn(net(), world())]

    assert losses
    assert all(loss is not None and loss.isfinite() for loss in losses)


def test_far_enough_is_what_unseen_images_have_and_for_a_class_much_less_than_a_guess() -> None:
    whole, some, model = world(), world(forget=3), net().eval()
    known = replace(some, holdout=some.retain.take(torch.arange(9)))
    images, labels = known.holdout.at(torch.arange(9))

    assert enough(model, whole) == pytest.approx(2 * log(CLASSES))
    assert enough(model, some) == pytest.approx(log(2))
    assert enough(model, known) == pytest.approx(cross_entropy(model(images), labels).item())


@pytest.mark.parametrize(
    ("method", "times"),
    [
        (GradientAscent(learning_rate=0.05, batch_size=12), 1),
        (NeggradPlus(learning_rate=0.1), 1),
        (Scrub(learning_rate=0.05, alpha=0, gamma=0, batch_size=4, epochs=9, forget_epochs=9), 2),
    ],
    ids=["gradient_ascent", "neggrad_plus", "scrub"],
)
def test_unless_told_they_go_as_far_as_is_enough(
    method: GradientAscent | NeggradPlus | Scrub, times: float
) -> None:
    far = times * enough(net(), world())

    by_itself, told, less, more = (
        carried_out(replace(method, stop_loss=stop), net(), again(world()))
        for stop in (None, far, far / 2, far * 2)
    )

    assert all(torch.equal(a, b) for a, b in zip(by_itself, told, strict=True))
    for other in (less, more):
        assert not all(torch.equal(a, b) for a, b in zip(by_itself, other, strict=True))
