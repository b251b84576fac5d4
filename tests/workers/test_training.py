"""The loop and what belongs to it: BatchNorm policies, masks, precision."""

from collections import deque
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from given import net, world
from torch import Tensor, nn
from torch.nn.utils import prune

from workers.batches import Feed
from workers.kinds import Recipe, Samples
from workers.modes import frozen, has_batchnorm, normalised_by, recalibrate
from workers.training import fit, loop

RECIPE = Recipe(epochs=2, batch_size=16, learning_rate=0.05, schedule="constant")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- BatchNorm ---------------------------------------------------------------------------------


def test_re_estimated_statistics_are_those_of_the_samples() -> None:
    given, model = world(), net()

    recalibrate(model, given.retain, batch_size=1000)

    images = given.retain.at(torch.arange(len(given.retain)))[0]
    seen = model[0](images)
    torch.testing.assert_close(model[1].running_mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(model[1].running_var, seen.var((0, 2, 3)))
    assert model[1].momentum == 0.1


def test_re_estimated_statistics_hang_little_on_the_order_of_the_samples() -> None:
    given = world()
    by_class = Samples(given.retain.pixels, given.retain.labels, given.retain.targets.argsort())
    whole, parts = net(), net()

    recalibrate(whole, by_class, batch_size=1000)
    recalibrate(parts, by_class, batch_size=12)

    assert torch.allclose(whole[1].running_var, parts[1].running_var, rtol=0.2)


@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_is_normalised_by_its_last_images_with_gradients_through_their_statistics(
    affine: bool,
) -> None:
    layer = nn.BatchNorm2d(3, affine=affine).double().eval()
    if affine:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
            layer.bias.copy_(torch.tensor([0.5, 0.0, -1.0]))
    images = torch.randn(5, 3, 2, 2, generator=rng(), dtype=torch.float64)

    def normalised(images: Tensor) -> Tensor:
        with normalised_by(layer, 2, len(images)):
            found: Tensor = layer(images)
        return found

    alone = deepcopy(layer).train()(images[2:])
    torch.testing.assert_close(normalised(images)[2:], alone)
    assert torch.autograd.gradcheck(normalised, images.clone().requires_grad_())
    assert torch.autograd.gradgradcheck(normalised, images.clone().requires_grad_())
    assert (layer.running_mean == 0).all()
    assert torch.equal(layer(images), deepcopy(layer)(images))


@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_in_bfloat16_has_the_same_gradients_but_for_rounding(affine: bool) -> None:
    layer = nn.BatchNorm2d(4, affine=affine).eval()
    images, above = (torch.randn(8, 4, 6, 6, generator=rng()) + shift for shift in (3.0, 0.0))
    found = {}
    for kind in (torch.bfloat16, torch.float32):
        mine = images.to(kind, memory_format=torch.channels_last).requires_grad_()
        with normalised_by(layer, 3, len(mine)):
            out = layer(mine)
        wanted = [mine, *layer.parameters()]
        found[kind] = [out, *torch.autograd.grad(out, wanted, above.to(kind))]
    assert found[torch.bfloat16][0].dtype == torch.bfloat16
    for rough, exact in zip(*found.values(), strict=True):
        assert (rough.float() - exact).abs().max() < 0.02 * exact.abs().max()


def test_one_image_has_no_variance() -> None:
    with pytest.raises(ValueError, match="at least two images"):
        recalibrate(net(), world(forget=1).forget)


def test_a_net_without_running_statistics_has_no_batchnorm() -> None:
    assert has_batchnorm(net())
    assert not has_batchnorm(nn.BatchNorm2d(3, track_running_stats=False))


def test_a_frozen_net_is_as_it_was_afterwards() -> None:
    model = net().train()
    model[0].requires_grad_(requires_grad=False)
    model[1].eval()

    with frozen(model):
        assert not any(part.training for part in model.modules())
        assert not any(weight.requires_grad for weight in model.parameters())

    assert [part.training for part in model] == [True, False, True, True, True, True]
    assert [w.requires_grad for w in model.parameters()] == [False, True, True, True, True]


# ---- the loop ----------------------------------------------------------------------------------


def test_masked_weights_stay_zero() -> None:
    given, model = world(), net()
    prune.random_unstructured(model[0], "weight", amount=0.5)
    gone = model[0].weight_mask == 0

    feed = Feed(main=given.retain)
    deque(loop(model, feed, RECIPE, rng=rng(), precision="fp32"), maxlen=0)
    prune.remove(model[0], "weight")

    assert gone.any()
    assert (model[0].weight[gone] == 0).all()
    assert (model[0].weight[~gone] != 0).all()


def test_what_is_not_to_be_trained_stays() -> None:
    given, model = world(), net()
    before = deepcopy(model.state_dict())

    feed = Feed(main=given.retain)
    steps = loop(
        model,
        feed,
        RECIPE,
        rng=rng(),
        precision="fp32",
        batchnorm="frozen",
        only=[model[5].bias],
    )
    deque(steps, maxlen=0)

    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {"5.bias"}


def test_training_learns() -> None:
    given, model = world(), net()
    recipe = Recipe(epochs=30, batch_size=16, learning_rate=0.1)

    deque(fit(model, given.retain, recipe, rng=rng(), precision="fp32"), maxlen=0)

    images, labels = given.retain.at(torch.arange(len(given.retain)))
    assert (model(images).argmax(1) == labels).float().mean() > 0.9


def test_bfloat16_agrees_with_float32() -> None:
    given = world()
    losses = [
        [
            float(step.loss)
            for step in fit(net(), given.retain, RECIPE, rng=rng(), precision=precision)
            if step.loss is not None
        ]
        for precision in ("bf16", "fp32")
    ]

    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_a_precision_that_does_not_exist_is_refused() -> None:
    given = world()

    with pytest.raises(ValueError, match="'fp8'"):
        next(iter(fit(net(), given.retain, RECIPE, rng=rng(), precision="fp8")))


def test_augmented_training_sees_other_images_each_time() -> None:
    given = world()
    once, other = (
        [w.clone() for w in _trained(replace(RECIPE, augment=augment), given.retain)]
        for augment in ("none", "crop_flip")
    )

    assert not all(torch.equal(a, b) for a, b in zip(once, other, strict=True))


def _trained(recipe: Recipe, samples: Samples) -> list[nn.Parameter]:
    model = net()
    deque(fit(model, samples, recipe, rng=rng(), precision="fp32"), maxlen=0)
    return list(model.parameters())
