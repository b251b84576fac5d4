"""Random labels, gradient ascent, NegGrad+ and SalUn against their formulas, in float64."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from given import CLASSES, again, carried_out, net, world
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from workers.kinds import Given, Samples
from workers.methods.gradient_ascent import GradientAscent
from workers.methods.neggrad_plus import NeggradPlus
from workers.methods.random_labels import RandomLabels
from workers.methods.salun import Salun, slopes, steepest
from workers.push import drawn, elsewhere


def plain() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


def loss(values: list[Tensor], samples: Samples, labels: Tensor | None = None) -> Tensor:
    images, own = samples.at(torch.arange(len(samples)))
    return cross_entropy(
        linear(images.double().flatten(1), *values), own if labels is None else labels
    )


def parameters(model: nn.Module) -> list[Tensor]:
    return [value.detach().clone().requires_grad_() for value in model[1].parameters()]


def all_at_once(given: Given) -> dict[str, float]:
    """One step on both sets as a whole."""
    share = len(given.retain) / len(given.forget)
    return {"learning_rate": 0.1, "steps": 1, "epochs": 1, "batch_size": 12, "retain_share": share}


def stepped(values: list[Tensor], value: Tensor, rate: float = 0.1) -> list[Tensor]:
    found = torch.autograd.grad(value, values)
    return [w.detach() - rate * g for w, g in zip(values, found, strict=True)]


def as_expected(model: nn.Module, expected: list[Tensor]) -> None:
    for value, wanted in zip(model[1].parameters(), expected, strict=True):
        torch.testing.assert_close(value.detach(), wanted)


# ---- random labels -----------------------------------------------------------------------------


def test_random_labels_descend_towards_what_was_drawn() -> None:
    given, model = world(), plain()
    values = parameters(model)
    labels = drawn(elsewhere(given), torch.Generator().manual_seed(0))
    n, m = len(given.forget), len(given.retain)
    mixed = (n * loss(values, given.forget, labels) + m * loss(values, given.retain)) / (n + m)

    carried_out(RandomLabels(**all_at_once(given)), model, again(given))  # type: ignore[arg-type]

    as_expected(model, stepped(values, mixed))


def test_the_forget_set_first_then_the_retain_set() -> None:
    given, model = world(), plain()
    values = parameters(model)
    labels = drawn(elsewhere(given), torch.Generator().manual_seed(0))
    between = [v.requires_grad_() for v in stepped(values, loss(values, given.forget, labels))]
    params = all_at_once(given) | {"batch_size": 36, "momentum": 0.0, "retain_share": 1.0}
    method = RandomLabels(order="forget_first", **params)  # type: ignore[arg-type]

    carried_out(method, model, again(given))

    as_expected(model, stepped(between, loss(between, given.retain)))


@pytest.mark.parametrize("true_label", [False, True])
@pytest.mark.parametrize("redraw", [False, True])
def test_the_true_label_is_drawn_if_it_may_once_or_at_every_pass(
    redraw: bool, true_label: bool
) -> None:
    given, model = world(), plain()
    allowed = torch.ones(12, CLASSES, dtype=torch.bool) if true_label else elsewhere(given)
    chance, values = torch.Generator().manual_seed(0), parameters(model)
    labels = drawn(allowed, chance)
    for _ in range(2):
        values = [v.requires_grad_() for v in stepped(values, loss(values, given.forget, labels))]
        if redraw:
            torch.randperm(12, generator=chance)  # the order of the pass
            torch.randint(2**62, (), generator=chance)  # the seed of its dropout
            labels = drawn(allowed, chance)
    alone = {"retain_share": 0, "alone_rate": 0.1, "epochs": 2, "steps": 2, "momentum": 0.0}

    method = RandomLabels(redraw=redraw, true_label=true_label, **alone)  # type: ignore[arg-type]
    carried_out(method, model, again(given))

    as_expected(model, values)


def test_the_true_label_may_be_drawn_and_still_no_other_forgotten_class() -> None:
    given, model = world(), plain()
    rows = torch.arange(len(given.forget.labels))
    gone = torch.isin(given.forget.labels, torch.tensor([2, 3]))
    forget, retain = (replace(given.forget, index=rows[part]) for part in (gone, ~gone))
    two = again(replace(given, forget=forget, retain=retain))
    own = nn.functional.one_hot(forget.targets, CLASSES).bool()
    kept = torch.tensor([True, True, False, False])
    labels, values = drawn(own | kept, torch.Generator().manual_seed(0)), parameters(model)
    alone = {"retain_share": 0, "alone_rate": 0.1, "epochs": 1, "steps": 1}

    carried_out(RandomLabels(true_label=True, **alone), model, two)  # type: ignore[arg-type]

    as_expected(model, stepped(values, loss(values, forget, labels)))


def test_every_allowed_label_is_drawn_and_no_other() -> None:
    allowed = torch.tensor([[True, False, True, True]] * 200)

    assert set(drawn(allowed, torch.Generator().manual_seed(0)).tolist()) == {0, 2, 3}


# ---- up the loss -------------------------------------------------------------------------------


def test_ascent_goes_up_the_loss_of_the_forget_set() -> None:
    given, model = world(), plain()
    values = parameters(model)
    method = GradientAscent(learning_rate=0.1, epochs=1, steps=1, batch_size=12, stop_loss=99)

    carried_out(method, model, given)

    as_expected(model, stepped(values, -loss(values, given.forget)))


def test_ascent_stops_at_the_first_batch_that_has_come_far_enough() -> None:
    given, model = world(), net()
    method = GradientAscent(learning_rate=0.05, stop_loss=3.0, batch_size=12)

    steps = list(method.unlearn(model, given))

    losses = [-float(step.loss) for step in steps if step.loss is not None]
    assert len(steps) < method.steps
    assert all(loss < 3 for loss in losses[:-1])
    assert losses[-1] >= 3
    assert steps[-1].done == steps[-1].total
    assert steps[-1].state is not None


def test_ascent_that_has_stopped_does_not_go_on_when_it_is_resumed() -> None:
    given = world()
    method = GradientAscent(learning_rate=0.05, stop_loss=3.0, batch_size=12)
    whole = net()
    last = list(method.unlearn(whole, again(given)))[-1].state
    assert last is not None
    state, resumed = last(), net()

    steps = list(method.unlearn(resumed, again(given, resume=state)))

    assert steps == []
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("stop", [99.0, 0.01])
def test_neggrad_plus_climbs_and_descends_until_it_is_enough(stop: float) -> None:
    given, model = world(), plain()
    values = parameters(model)
    climb = 0.2 * loss(values, given.forget) if stop > 9 else 0.0
    method = NeggradPlus(alpha=0.8, stop_loss=stop, **all_at_once(given))  # type: ignore[arg-type]

    carried_out(method, model, again(given))

    as_expected(model, stepped(values, 0.8 * loss(values, given.retain) - climb))


# ---- SalUn -------------------------------------------------------------------------------------


def test_salient_weights_have_the_steepest_slopes_of_the_whole_forget_set() -> None:
    given, model = world(), plain()
    values = parameters(model)
    expected = torch.autograd.grad(12 * loss(values, given.forget), values)

    found = slopes(model, given, [*model.parameters()])

    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs.abs())
    masks = steepest(found, 0.25)
    kept = torch.cat([s[m] for s, m in zip(found, masks, strict=True)])
    left = torch.cat([s[~m] for s, m in zip(found, masks, strict=True)])
    assert len(kept) == 65
    assert kept.min() > left.max()


@pytest.mark.parametrize("salient", [0.1, 0.5, 0.9])
def test_all_other_weights_end_bit_for_bit_as_they_were(salient: float) -> None:
    given, model = world(), net()
    before = deepcopy(model)
    masks = steepest(slopes(before, given, [*before.parameters()]), salient)

    carried_out(Salun(salient=salient, steps=5, learning_rate=0.1), model, again(given))

    moved = 0
    for new, old, mask in zip(model.parameters(), before.parameters(), masks, strict=True):
        assert torch.equal(new[~mask], old[~mask])
        moved += int((new[mask] != old[mask]).sum())
    assert moved > 0


def test_salun_descends_the_sum_of_both_losses() -> None:
    given, model = world(), plain()
    values = parameters(model)
    labels = drawn(elsewhere(given), torch.Generator().manual_seed(0))
    both = loss(values, given.forget, labels) + 2 * loss(values, given.retain)
    method = Salun(salient=1.0, alpha=2.0, **all_at_once(given))  # type: ignore[arg-type]

    carried_out(method, model, again(given))

    as_expected(model, stepped(values, both))
