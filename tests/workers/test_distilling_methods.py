"""Finetune, SCRUB and SSD against their formulas, in float64."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from given import CLASSES, again, carried_out, net, states, world
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from workers.kinds import Given, Samples
from workers.methods import ssd
from workers.methods.finetune import Finetune
from workers.methods.l1_sparse import L1Sparse
from workers.methods.scrub import Scrub, distance
from workers.methods.ssd import Ssd

ONE_STEP = {"batch_size": 1000, "learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.0}


def plain() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


def parameters(model: nn.Module) -> list[Tensor]:
    return [value.detach().clone().requires_grad_() for value in model[1].parameters()]


def logits(values: list[Tensor], samples: Samples) -> Tensor:
    return linear(samples.at(torch.arange(len(samples)))[0].double().flatten(1), *values)


def stepped(values: list[Tensor], value: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(value, values)
    return [(w.detach() - 0.1 * g).requires_grad_() for w, g in zip(values, found, strict=True)]


# ---- finetune ----------------------------------------------------------------------------------


SAME = {"learning_rate": 0.05, "schedule": "constant"}


def test_finetuning_descends_the_loss_of_the_retain_set_with_momentum_and_decay() -> None:
    given, model = world(), plain()
    values, pushed = parameters(model), [torch.zeros(()), torch.zeros(())]
    for _ in range(3):
        slopes = torch.autograd.grad(
            cross_entropy(logits(values, given.retain), given.retain.targets), values
        )
        steps = [slope + 0.2 * w.detach() for slope, w in zip(slopes, values, strict=True)]
        pushed = [0.5 * old + step for old, step in zip(pushed, steps, strict=True)]
        values = [
            (w.detach() - 0.1 * push).requires_grad_()
            for w, push in zip(values, pushed, strict=True)
        ]

    method = Finetune(epochs=3, batch_size=36, learning_rate=0.1, momentum=0.5, weight_decay=0.2)
    carried_out(method, model, given)

    for value, wanted in zip(model[1].parameters(), values, strict=True):
        torch.testing.assert_close(value.detach(), wanted.detach())


def test_finetuning_is_l1_sparse_without_its_penalty() -> None:
    once = carried_out(Finetune(steps=7, **SAME), net(), again(world()))
    twice = carried_out(L1Sparse(gamma=0.0, steps=7, **SAME), net(), again(world()))

    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


def test_a_small_retain_set_is_passed_over_more_often() -> None:
    steps = list(Finetune(epochs=1, steps=7, batch_size=18).unlearn(net(), world()))

    assert len(steps) == 8  # four whole passes of two batches


# ---- SCRUB -------------------------------------------------------------------------------------


def test_scrub_leaves_its_teacher_on_the_forget_set_and_returns_on_the_retain_set() -> None:
    given, model = world(), plain()
    before = parameters(model)
    method = Scrub(
        epochs=2, forget_epochs=2, temperature=2, alpha=0.3, gamma=0.7, stop_loss=99, **ONE_STEP
    )  # type: ignore[arg-type]
    values = before
    for _ in range(2):
        values = stepped(values, -apart(values, before, given.forget))
        own = cross_entropy(logits(values, given.retain), given.retain.targets)
        values = stepped(values, 0.3 * apart(values, before, given.retain) + 0.7 * own)

    carried_out(method, model, given)

    for value, wanted in zip(model[1].parameters(), values, strict=True):
        torch.testing.assert_close(value.detach(), wanted.detach())


def apart(values: list[Tensor], teacher: list[Tensor], samples: Samples) -> Tensor:
    """The mean of sum p log(p / q), p the teacher's, times T^2; T is 2."""
    p = (logits(teacher, samples).detach() / 2).softmax(1)
    q = (logits(values, samples) / 2).softmax(1)
    return 4 * (p * (p.log() - q.log())).sum(1).mean()


def test_the_distance_has_the_right_gradient() -> None:
    chance = torch.Generator().manual_seed(0)
    mine, theirs = (torch.randn(3, 5, generator=chance, dtype=torch.float64) for _ in range(2))

    assert torch.autograd.gradcheck(lambda x: distance(x, theirs, 4.0), mine.requires_grad_())
    assert float(distance(theirs, theirs, 4.0)) == pytest.approx(0, abs=1e-12)


def test_scrub_shows_the_forget_set_in_its_first_epochs_only() -> None:
    method = Scrub(epochs=3, forget_epochs=1, batch_size=12)

    steps = list(method.unlearn(net(), world()))

    assert [step.epoch for step in steps] == [1] * 4 + [2] * 3 + [3] * 3


@pytest.mark.parametrize(("stop", "stays"), [(0.01, True), (99.0, False)])
def test_scrub_leaves_no_further_once_it_is_enough(stop: float, stays: bool) -> None:
    model = plain()
    before = model[1].weight.detach().clone()
    leaving_only = Scrub(alpha=0, gamma=0, stop_loss=stop, batch_size=4, weight_decay=0)

    carried_out(leaving_only, model, world())

    assert torch.equal(model[1].weight, before) == stays


@pytest.mark.parametrize("method", [Scrub(batchnorm="frozen"), Finetune(batchnorm="frozen"), Ssd()])
def test_frozen_batchnorm_leaves_its_buffers_bit_identical(method: Finetune | Scrub | Ssd) -> None:
    model = net()
    before = deepcopy(dict(model.named_buffers()))

    carried_out(method, model, world())

    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


# ---- SSD ---------------------------------------------------------------------------------------


def squared(model: nn.Module, samples: Samples) -> Tensor:
    """The mean over samples of each one's squared slope by the weight, one at a time."""
    images, labels = samples.at(torch.arange(len(samples)))
    total = torch.zeros_like(model[1].weight)
    for image, label in zip(images.double(), labels, strict=True):
        value = cross_entropy(model(image[None]), label[None])
        total += torch.autograd.grad(value, model[1].weight)[0] ** 2
    return total / len(samples)


def everything(given: Given) -> Samples:
    return replace(given.retain, index=torch.arange(len(given.retain.labels)))


@pytest.mark.parametrize(("alpha", "dampening"), [(2.0, 1.0), (1.5, 0.3), (3.0, 0.1), (0.5, 1.0)])
def test_what_matters_mostly_to_the_forget_set_is_dampened(alpha: float, dampening: float) -> None:
    given, model = world(), plain()
    weight = model[1].weight.detach().clone()
    mine, all_ = squared(model, given.forget), squared(model, everything(given))
    chosen = mine > alpha * all_
    expected = torch.where(chosen, (dampening * all_ / mine).clamp(max=1) * weight, weight)

    carried_out(Ssd(alpha=alpha, dampening=dampening), model, given)

    torch.testing.assert_close(model[1].weight.detach(), expected)
    assert 0 < chosen.sum() < chosen.numel()
    assert torch.equal(model[1].weight[~chosen], weight[~chosen])


def test_unless_told_it_takes_half_of_what_is_possible_but_at_most_ten() -> None:
    for given, alpha in ((world(), 2.0), (world(forget=1), 10.0)):
        by_itself = carried_out(Ssd(), net(), again(given))
        told = carried_out(Ssd(alpha=alpha), net(), again(given))
        assert all(torch.equal(a, b) for a, b in zip(by_itself, told, strict=True))


def test_the_result_hangs_little_on_how_many_images_are_weighed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, many = plain(), plain()
    carried_out(Ssd(), one, world())
    monkeypatch.setattr(ssd, "AT_ONCE", 5 * 260)

    carried_out(Ssd(), many, world())

    torch.testing.assert_close(one[1].weight, many[1].weight)
    assert len(list(states(Ssd(), plain(), world()))) == 3 + 8
