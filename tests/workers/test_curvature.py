"""The curvature variant of Boundary Shrink against its formula, in float64."""

from dataclasses import replace
from typing import Any

import torch
from given import CLASSES, again, carried_out, net, world
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, softplus

from workers.batches import Batch
from workers.kinds import Given
from workers.methods.boundary_shrink import BoundaryShrink, bend


def plain(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


def smooth(seed: int = 0) -> nn.Module:
    """A small net whose second derivatives are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 3), nn.Softplus(), nn.Linear(3, 4)
        ).double()


def forgotten(given: Given) -> tuple[Tensor, Tensor]:
    images, labels = given.forget.at(torch.arange(len(given.forget)))
    return images.double(), labels


def test_the_bend_is_the_change_of_the_slope_over_a_step_along_its_signs() -> None:
    model, images = plain(), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2])
    weight, bias = model[1].weight.detach(), model[1].bias.detach()

    def slope(flat: Tensor) -> Tensor:
        return (linear(flat, weight, bias).softmax(1) - torch.eye(4)[labels]) @ weight

    here = slope(images.flatten(1))
    there = slope(images.flatten(1) + 0.9 * here.sign() / here.sign().norm(dim=1, keepdim=True))

    found = bend(model, images, labels, 0.9)

    torch.testing.assert_close(found, (there - here).norm(dim=1))


def test_the_bend_of_an_image_hangs_on_no_other_image() -> None:
    model, images = smooth(), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2])

    alone = [bend(model, images[i : i + 1], labels[i : i + 1], 0.9) for i in range(3)]

    torch.testing.assert_close(bend(model, images, labels, 0.9), torch.cat(alone))


def test_the_bend_can_be_differentiated_by_the_weights() -> None:
    images = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    _, first, _, last = smooth()

    def bends(weight: Tensor) -> Tensor:
        def forward(images: Tensor) -> Tensor:
            hidden = softplus(linear(images.flatten(1), weight, first.bias.detach()))
            return linear(hidden, last.weight.detach(), last.bias.detach())

        return bend(forward, images, torch.tensor([0, 1]), 0.5, learning=True)

    weight = first.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(bends, weight)


def test_the_curvature_s_loss_is_that_of_the_neighbours_and_of_every_change_of_bend() -> None:
    given, model = world(), smooth()
    images, labels = forgotten(given)
    which, targets = torch.tensor([5, 0, 7]), torch.tensor([1, 0, 2, 3, 1])
    others = given.retain.at(torch.arange(2))[0].double()
    batch = Batch(torch.cat([images[which], others]), targets, which, torch.arange(2), 0)
    base = torch.rand(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    now = bend(model, images[which], labels[which], 0.5)
    change = (now - base[which]).square().sum().sqrt()
    expected = cross_entropy(model(batch.images), targets) + 0.3 * change

    method = BoundaryShrink(variant="curvature", curvature_weight=0.3, curvature_reach=0.5)
    found = method.kept_curved(model, batch, given, {"bends": base})

    torch.testing.assert_close(found, expected)


def test_the_bends_to_keep_are_those_of_the_base() -> None:
    given, model = world(), smooth()

    found = BoundaryShrink(variant="curvature").prepare(model, given)["bends"]

    torch.testing.assert_close(found, bend(model, *forgotten(given), 0.9))


def test_the_curvature_is_never_computed_in_bfloat16() -> None:
    method, given = BoundaryShrink(variant="curvature", epochs=1, steps=2), again(world())
    prepared = method.prepare(net(), given)

    ends = [
        carried_out(method, net(), replace(again(world()), precision=kind, prepared=prepared))
        for kind in ("bf16", "fp32")
    ]

    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_weight_of_zero_is_plain_shrink_and_a_large_one_is_not() -> None:
    def shrunk(**params: Any) -> Tensor:
        model = smooth()
        alone = {"retain_share": 0.0, "alone_rate": 0.1, "steps": 3}
        carried_out(BoundaryShrink(**alone, **params), model, world())
        return model[1].weight.detach()

    plainly = shrunk()

    torch.testing.assert_close(shrunk(variant="curvature", curvature_weight=0.0), plainly)
    assert not torch.allclose(shrunk(variant="curvature", curvature_weight=50.0), plainly)
