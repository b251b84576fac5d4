"""l1-sparse and retrain against their definitions, in float64."""

from dataclasses import replace

import pytest
import torch
from given import CLASSES, again, carried_out, net, world
from hypothesis import given as for_all
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, linear

from workers.methods.l1_sparse import L1Sparse
from workers.methods.retrain import Retrain
from workers.training import Moment, fit

ONE_STEP = {
    "epochs": 1,
    "steps": 1,
    "batch_size": 1000,
    "learning_rate": 0.1,
    "schedule": "constant",
    "weight_decay": 0.0,
}


def plain() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


def slopes(model: nn.Module) -> tuple[torch.Tensor, ...]:
    """Of the mean cross-entropy on the retain set, by weight and bias."""
    given = world()
    images, labels = given.retain.at(torch.arange(len(given.retain)))
    values = [value.detach().clone().requires_grad_() for value in model[1].parameters()]
    loss = cross_entropy(linear(images.double().flatten(1), *values), labels)
    return torch.autograd.grad(loss, values)


def test_a_step_goes_down_the_loss_and_the_penalty() -> None:
    model = plain()
    weight, slope = model[1].weight.detach().clone(), slopes(model)[0]

    carried_out(L1Sparse(gamma=0.02, **ONE_STEP), model, world())

    expected = weight - 0.1 * (slope + 0.02 * weight.sign())
    torch.testing.assert_close(model[1].weight.detach(), expected)


def test_a_proximal_step_goes_down_the_loss_then_towards_zero() -> None:
    model = plain()
    weight, slope = model[1].weight.detach().clone(), slopes(model)[0]

    method = L1Sparse(gamma=0.02, proximal=True, momentum=0.5, **ONE_STEP)
    carried_out(method, model, world())

    moved, reach = weight - 0.1 * slope, 0.1 * 0.02 / (1 - 0.5)
    expected = moved.sign() * (moved.abs() - reach).clamp(min=0)
    torch.testing.assert_close(model[1].weight.detach(), expected)


def test_a_proximal_step_is_as_long_as_the_schedules_of_both_say() -> None:
    weight = nn.Parameter(torch.linspace(-1, 1, 9, dtype=torch.float64))
    before = weight.detach().clone()
    moment = Moment(epoch=1, epochs=4, rate=0.3, weights=[weight], which=torch.arange(0))

    L1Sparse(gamma=0.5, proximal=True, momentum=0.5, learning_rate=9.0).shrink(moment)

    reach = 0.3 * (0.5 * 3 / 4) / (1 - 0.5)
    torch.testing.assert_close(weight.detach(), before.sign() * (before.abs() - reach).clamp(min=0))


def test_only_proximal_steps_give_true_zeros() -> None:
    zeros = {}
    for proximal in (False, True):
        model = net()
        carried_out(L1Sparse(gamma=0.05, steps=1, proximal=proximal), model, world())
        zeros[proximal] = int((model[5].weight == 0).sum())

    assert zeros[False] == 0
    assert zeros[True] > 0


@pytest.mark.parametrize(
    ("tensors", "faded"), [("all", {0, 1, 2, 3, 4}), ("weights", {0, 3}), ("convolutions", {0})]
)
def test_the_penalty_reaches_the_chosen_tensors_only(tensors: str, faded: set[int]) -> None:
    nothing, something = (
        carried(L1Sparse(gamma=gamma, tensors=tensors, **ONE_STEP))  # type: ignore[arg-type]
        for gamma in (0.0, 0.1)
    )

    differ = {
        number
        for number, (a, b) in enumerate(zip(nothing, something, strict=True))
        if not torch.equal(a, b)
    }
    # A bias of BatchNorm begins at exactly 0, where the sub-gradient is 0.
    assert differ == faded - {2}


def carried(method: L1Sparse) -> list[nn.Parameter]:
    model = net()
    carried_out(method, model, world())
    return list(model.parameters())


@for_all(epochs=st.integers(1, 50), gamma=st.floats(0, 1))
def test_the_three_schedules(epochs: int, gamma: float) -> None:
    over = {
        penalty: [
            L1Sparse(gamma=gamma, penalty=penalty).strength(t, epochs)  # type: ignore[arg-type]
            for t in range(epochs)
        ]
        for penalty in ("decay", "growth", "constant")
    }

    assert over["decay"] == pytest.approx([gamma * (1 - t / epochs) for t in range(epochs)])
    assert over["growth"] == pytest.approx([gamma * t / epochs for t in range(epochs)])
    assert over["constant"] == [gamma] * epochs


def test_it_never_looks_at_the_forget_set() -> None:
    one, other = world(), world()
    other.forget.labels[other.forget.index] = 0  # the labels of both sets lie in one table

    once = carried_out(L1Sparse(steps=1), net(), again(one))
    twice = carried_out(L1Sparse(steps=1), net(), again(other))

    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


def test_retraining_does_not_remember_the_weights_it_was_given() -> None:
    once = carried_out(Retrain(), net(1), again(world()))
    other = carried_out(Retrain(), net(2), again(world()))

    assert all(torch.equal(a, b) for a, b in zip(once, other, strict=True))


def test_retraining_is_the_recorded_recipe_on_the_retain_set_and_nothing_else() -> None:
    given, chance = world(), torch.Generator().manual_seed(0)
    expected = given.fresh(int(torch.randint(2**62, (), generator=chance)))
    assert given.recipe is not None
    for _ in fit(expected, given.retain, given.recipe, rng=chance, precision="fp32"):
        pass
    other = again(world())
    other.forget.labels[other.forget.index] = 0
    blind = replace(other, forget=other.forget.take(torch.arange(1)), updates=None)

    found = carried_out(Retrain(), net(), again(given))

    assert all(
        torch.equal(a, b) for a, b in zip(found, expected.state_dict().values(), strict=True)
    )
    unaware = carried_out(Retrain(), net(), blind)
    assert all(torch.equal(a, b) for a, b in zip(found, unaware, strict=True))


def test_retraining_needs_a_recipe() -> None:
    with pytest.raises(ValueError, match="needs the recipe"):
        carried_out(Retrain(), net(), replace(world(), recipe=None))
