"""Boundary Expanding and Boundary Shrink against their formulas, in float64."""

from collections import deque
from copy import deepcopy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from given import CLASSES, GONE, again, carried_out, net, world
from hypothesis import given as for_all
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from workers.kinds import Given, Recipe
from workers.methods.boundary_expanding import BoundaryExpanding
from workers.methods.boundary_shrink import BoundaryShrink
from workers.modes import recalibrate
from workers.neighbours import Search
from workers.training import fit


def plain(seed: int = 0) -> nn.Module:
    """A linear net in float64: everything about it can be worked out by hand."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


def found(model: nn.Module, given: Given, epsilon: float = 0.1) -> Tensor:
    """The neighbours that Boundary Shrink finds."""
    return torch.as_tensor(BoundaryShrink(epsilon=epsilon).prepare(model, given)["neighbours"])


def one_batch(given: Given) -> tuple[Tensor, Tensor]:
    images, labels = given.forget.at(torch.arange(len(given.forget)))
    return images.double().flatten(1), labels


def descended(weight: Tensor, bias: Tensor, given: Given, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Two steps of gradient descent with momentum 0.9 and rate 0.1 on all forget images."""
    images, _ = one_batch(given)
    pushed = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for _ in range(2):
        values = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]
        loss = cross_entropy(linear(images, *values), targets)
        slopes = torch.autograd.grad(loss, values)
        pushed = [0.9 * old + slope for old, slope in zip(pushed, slopes, strict=True)]
        weight, bias = weight - 0.1 * pushed[0], bias - 0.1 * pushed[1]
    return weight, bias


# ---- Expanding ---------------------------------------------------------------------------------


def test_expanding_descends_towards_the_shadow_class_and_prunes_it() -> None:
    given, model = world(), plain()
    weight, bias = (value.detach().clone() for value in model[1].parameters())
    chance = torch.Generator().manual_seed(0)
    row = torch.randn(1, 64, generator=chance) * (2 / (64 + CLASSES + 1)) ** 0.5
    wide, shift = torch.cat([weight, row.double()]), torch.cat([bias, torch.zeros(1).double()])
    shadow = torch.full((len(given.forget),), CLASSES)
    expected = descended(wide, shift, given, shadow)

    method = BoundaryExpanding(alone_rate=0.1, retain_share=0.0, steps=2)
    carried_out(method, model, again(given))

    torch.testing.assert_close(model[1].weight, nn.Parameter(expected[0][:CLASSES]))
    torch.testing.assert_close(model[1].bias, nn.Parameter(expected[1][:CLASSES]))


def test_expanding_the_head_alone_leaves_all_else_as_it_was() -> None:
    model = net()
    before = deepcopy(model.state_dict())

    carried_out(BoundaryExpanding(train="head", batchnorm="frozen", steps=2), model, world())

    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {"5.weight", "5.bias"}


# ---- Shrink ------------------------------------------------------------------------------------


def test_shrink_descends_towards_the_neighbours() -> None:
    given, model = world(), plain()
    method = BoundaryShrink(alone_rate=0.1, retain_share=0.0, steps=2)
    expected = descended(
        model[1].weight.detach(),
        model[1].bias.detach(),
        given,
        found(model, given),
    )

    carried_out(method, model, again(given))

    torch.testing.assert_close(model[1].weight, nn.Parameter(expected[0]))
    torch.testing.assert_close(model[1].bias, nn.Parameter(expected[1]))


def test_it_says_how_many_images_the_search_took_across_a_boundary() -> None:
    given, model = world(), plain()
    many = replace(given, forget=given.retain, retain=given.forget)
    images, labels = many.forget.at(torch.arange(36))
    wrong = (model(images.double()).argmax(1) != labels).double().mean().item()

    here, across = (
        BoundaryShrink(search=by).prepare(model, many)["flipped"]  # type: ignore[arg-type]
        for by in ("second_logit", "fgsm")
    )

    assert 0 < wrong < 1
    assert here == pytest.approx(wrong)
    assert across == 1.0


def test_what_was_prepared_is_not_searched_again() -> None:
    given, model = world(), plain()
    told = torch.zeros(12, dtype=torch.int64)
    expected = descended(model[1].weight.detach(), model[1].bias.detach(), given, told)
    prepared = replace(given, prepared={"neighbours": told})

    carried_out(BoundaryShrink(alone_rate=0.1, retain_share=0.0, steps=2), model, prepared)

    torch.testing.assert_close(model[1].weight, nn.Parameter(expected[0]))


def test_the_neighbour_is_the_largest_other_logit_one_signed_step_up_the_loss() -> None:
    given, model = world(), plain(1)
    images, labels = one_batch(given)
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    # For a linear net the slope of the cross-entropy is W^T (softmax - onehot).
    error = linear(images, weight, bias).softmax(1) - nn.functional.one_hot(labels, CLASSES)
    moved = (images + 0.1 * (error @ weight).sign()).clamp(0, 1)
    logits = linear(moved, weight, bias)
    others = [[k for k in range(CLASSES) if k != label] for label in labels.tolist()]
    expected = [max(rest, key=row.__getitem__) for rest, row in zip(others, logits, strict=True)]

    assert found(model, given).tolist() == expected


@for_all(
    by=st.sampled_from(("fgsm", "pgd", "second_logit")),
    epsilon=st.floats(1e-3, 1.0),
    seed=st.integers(0, 100),
)
def test_the_search_stays_within_epsilon_and_within_the_pixel_range(
    by: Literal["fgsm", "pgd", "second_logit"], epsilon: float, seed: int
) -> None:
    model = net(seed).eval()
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(4)

    search = Search(by=by, epsilon=epsilon, step=0.4, random_start=True)
    moved = search.moved(model, images, labels, torch.Generator().manual_seed(seed))

    assert (moved - images).abs().max() <= epsilon + 1e-6
    assert 0 <= moved.min() <= moved.max() <= 1


@for_all(epsilon=st.floats(1e-6, 1.0), seed=st.integers(0, 100), classes=st.integers(2, 5))
def test_a_neighbour_is_never_the_true_label(epsilon: float, seed: int, classes: int) -> None:
    given = world(classes=classes)

    all_but_one_class = replace(given, forget=given.retain, retain=given.forget)
    pushed = found(net(seed, classes=classes), all_but_one_class, epsilon)

    assert (pushed != given.retain.targets).all()


def test_the_neighbour_of_an_image_hangs_on_no_other_image() -> None:
    given, model = world(), net()
    together = found(model, given)

    parts = [given.forget.take(torch.tensor([i])) for i in range(12)]
    alone = [found(model, replace(given, forget=part)) for part in parts]

    assert torch.equal(torch.cat(alone), together)


def test_the_search_leaves_the_net_as_it_was() -> None:
    given, model = world(), net().train()
    before = deepcopy(model.state_dict())

    found(model, given)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


# ---- both --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [BoundaryExpanding, BoundaryShrink])
def test_frozen_batchnorm_leaves_its_buffers_bit_identical(method: type) -> None:
    model = net()
    before = deepcopy(dict(model.named_buffers()))

    carried_out(method(batchnorm="frozen", steps=2), model, world())

    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


@pytest.mark.parametrize("method", [BoundaryExpanding, BoundaryShrink])
def test_where_nothing_is_retained_they_use_the_forget_set_alone(method: type) -> None:
    given = world()
    nobody = replace(given, retain=given.retain.take(torch.tensor([], dtype=torch.int64)))

    by_choice = carried_out(method(retain_share=0.0, steps=2), net(), again(given))
    by_need = carried_out(method(steps=2), net(), again(nobody))

    assert all(torch.equal(a, b) for a, b in zip(by_choice, by_need, strict=True))


@pytest.mark.parametrize("method", [BoundaryExpanding, BoundaryShrink])
def test_a_class_is_forgotten_and_the_others_stay(method: type) -> None:
    given, model = world(), net()
    everything = replace(given.retain, index=torch.arange(len(given.retain.labels)))
    recipe = Recipe(epochs=30, batch_size=16, learning_rate=0.1)
    deque(fit(model, everything, recipe, rng=torch.Generator(), precision="fp32"), maxlen=0)

    carried_out(method(), model, again(given))

    images, labels = everything.at(everything.index)
    hits = (model(images).argmax(1) == labels).float()
    assert hits[labels == GONE].mean() < 0.1
    assert hits[labels != GONE].mean() > 0.8


@pytest.mark.parametrize("method", [BoundaryExpanding, BoundaryShrink])
def test_a_small_forget_set_is_passed_over_more_often(method: type) -> None:
    few, many = world(forget=3), world(forget=12)
    made = method(epochs=2, steps=7, batch_size=2)

    assert [step.total for step in made.unlearn(net(), few)][-1] == 7
    assert [step.total for step in made.unlearn(net(), many)][-1] == 12


@pytest.mark.parametrize("method", [BoundaryExpanding, BoundaryShrink])
def test_fresh_statistics_bring_nothing_back(method: type) -> None:
    given, model = world(), net()

    carried_out(method(), model, again(given))

    images = given.forget.at(torch.arange(len(given.forget)))[0]
    served = model(images)
    recalibrate(model, given.retain)
    torch.testing.assert_close(model(images), served, rtol=1e-4, atol=1e-4)
