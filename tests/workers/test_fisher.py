"""Fisher forgetting against its formula, in float64."""

from dataclasses import replace

import pytest
import torch
from given import CLASSES, GONE, PER_CLASS, again, carried_out, net, world
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn.functional import cross_entropy

from workers.kinds import Given
from workers.methods.fisher import Fisher


def tiny() -> nn.Module:
    """With BatchNorm that has seen something, in evaluation mode."""
    model = net().double()
    model[1].running_mean.fill_(0.3)  # type: ignore[index, union-attr, operator]
    return model.eval()


def fisher(model: nn.Module, given: Given, *, batch: int = 1) -> Tensor:
    """The diagonal by a loop over images and labels."""
    found: Tensor | float = 0.0
    for images, _ in given.retain.batches(batch):
        logits = model(images.double())
        for label, p in enumerate(logits.softmax(1).mean(0)):
            labels = torch.full((len(images),), label)
            slopes = grad(cross_entropy(logits, labels), [*model.parameters()], retain_graph=True)
            found = found + p.detach() * torch.cat([s.flatten() for s in slopes]) ** 2
    assert isinstance(found, Tensor)
    return found / len(given.retain)


def row(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


@pytest.mark.parametrize("power", [0.25, 0.5])
def test_the_noise_is_as_wide_as_the_fisher_information_allows(power: float) -> None:
    given, model = world(), tiny()
    width = 0.01 * fisher(tiny(), given).clamp(min=1e-6) ** -power
    noise = torch.randn(len(width), generator=again(given).rng, dtype=torch.float64)

    carried_out(Fisher(strength=0.01, power=power), model, again(given))

    torch.testing.assert_close(row(model) - row(tiny()), width * noise)


def test_gradients_are_of_single_images_whatever_the_batch() -> None:
    ends = []
    for size in (1, 7, 1000):
        model = tiny()
        carried_out(Fisher(batch_size=size), model, again(world()))
        ends.append(row(model))

    torch.testing.assert_close(ends[0], ends[1])
    torch.testing.assert_close(ends[0], ends[2])
    assert not torch.allclose(fisher(tiny(), world(), batch=7), fisher(tiny(), world()), rtol=0.1)


def test_drawn_labels_give_the_same_information_on_average() -> None:
    given, method, model = world(), Fisher(labels="sampled"), tiny()
    images, _ = given.retain.at(torch.arange(len(given.retain)))
    draws = [method.information(model, images, given) for _ in range(60)]

    mean = torch.stack(draws).mean(0) / len(images)
    exact = fisher(model, given)
    assert float((mean - exact).norm() / exact.norm()) < 0.2


def test_it_never_looks_at_the_forget_set() -> None:
    one, other = again(world()), again(world())
    other.forget.labels[other.forget.index] = 0

    once, twice = carried_out(Fisher(), net(), one), carried_out(Fisher(), net(), other)

    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


def test_the_row_of_a_class_that_goes_whole_becomes_noise_if_asked() -> None:
    plain, cleared = net(), net()

    carried_out(Fisher(strength=0.0), plain, again(world()))
    carried_out(Fisher(strength=0.0, zero_rows=True), cleared, again(world()))

    rows, old = cleared[5].weight, plain[5].weight  # type: ignore[index]
    assert rows[GONE].abs().sum() == 0  # type: ignore[index, union-attr]
    assert torch.equal(rows[:GONE], old[:GONE])  # type: ignore[index, arg-type]
    biases, kept = cleared[5].bias, plain[5].bias  # type: ignore[index]
    assert biases[GONE] == 0 != kept[GONE]  # type: ignore[index]
    assert torch.equal(biases[:GONE], kept[:GONE])  # type: ignore[index, arg-type]


def test_rows_are_never_cleared_for_single_images() -> None:
    with pytest.raises(ValueError, match="whole classes"):
        carried_out(Fisher(zero_rows=True), net(), world(forget=PER_CLASS - 1))


def test_no_class_is_taken_for_another_by_its_size() -> None:
    """As many single images as a class has are no class."""
    given = world()
    mixed = replace(given.forget, index=torch.arange(PER_CLASS))
    rest = replace(given.retain, index=torch.arange(PER_CLASS, CLASSES * PER_CLASS))

    with pytest.raises(ValueError, match="whole classes"):
        carried_out(Fisher(zero_rows=True), net(), replace(given, forget=mixed, retain=rest))
