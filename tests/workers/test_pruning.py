"""The law for pruners, each file on the shelf; and each of ours against its formula."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from given import CLASSES, again, deep, net, world
from torch import Tensor, nn

from workers import pruning, shelf, sparsity
from workers.kinds import Given, Steps
from workers.pruning.imp import Imp
from workers.pruning.omp import Omp
from workers.pruning.synflow import Synflow, linear, scores
from workers.sparsity import Pruner

PRUNERS = shelf.on(pruning, Pruner)


@pytest.fixture(params=PRUNERS.values(), ids=PRUNERS.keys())
def pruner(request: pytest.FixtureRequest) -> Pruner:
    known = {field.name for field in fields(request.param)}
    small = {name: 2 for name in ("epochs", "rounds") if name in known}
    return shelf.make(request.param, small | {"sparsity": 0.8})


def to_the_end(steps: Steps) -> float:
    for _ in steps:
        pass
    return 0.0


def prune(pruner: Pruner, model: nn.Module, given: Given) -> dict[str, Tensor]:
    to_the_end(pruner.prune(model, given))
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---- pruners -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensors", ["convolutions", "weights"])
def test_the_asked_share_of_weights_is_zero_and_the_rest_is_dense(
    pruner: Pruner, tensors: Any
) -> None:
    model, given = deep(), replace(world(), fresh=deep)

    prune(replace(pruner, tensors=tensors), model, given)

    pruned = sparsity.weights(model, tensors)
    total = sum(weight.numel() for weight in pruned.values())
    zero = sum(int((weight == 0).sum()) for weight in pruned.values())
    assert set(pruned) == {"0", "3"} | ({"6"} if tensors == "weights" else set())
    assert zero == total - round(0.2 * total)
    assert all((w != 0).all() for w in (model[8].weight, model[1].weight))  # type: ignore[index]


def test_a_seed_decides_the_masks_and_the_weights(pruner: Pruner) -> None:
    given = world()

    torch.manual_seed(1)
    once = prune(pruner, net(), again(given))
    torch.manual_seed(2)
    twice = prune(pruner, net(), again(given))

    assert same(once, twice)


def test_a_pruner_resumed_at_any_state_ends_with_the_same_bytes(pruner: Pruner) -> None:
    given = again(world())
    found = [step.state() for step in pruner.prune(net(), given) if step.state is not None]
    whole = prune(pruner, net(), again(given))

    assert found
    for state in found:
        assert same(whole, prune(pruner, net(), again(given, resume=state)))


def test_the_progress_of_a_pruner_climbs_to_the_end(pruner: Pruner) -> None:
    steps = list(pruner.prune(net(), world()))

    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    assert [step.epoch for step in steps] == sorted(step.epoch for step in steps)
    assert steps[-1].epoch == steps[-1].epochs


@pytest.mark.parametrize("size", [{"forget": 1}, {"classes": 2}, {"classes": 7}, {"channels": 3}],
                         ids=str)  # fmt: skip
def test_a_pruner_takes_data_of_any_size(pruner: Pruner, size: dict[str, Any]) -> None:
    given = world(**size)
    model = given.fresh(0)

    prune(pruner, model, given)

    assert all(value.isfinite().all() for value in sparsity.plain(model).values())


def test_a_convolution_that_makes_the_logits_stays_dense(pruner: Pruner) -> None:
    def fresh(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            body = (nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
            return nn.Sequential(
                *body, nn.Conv2d(6, CLASSES, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
            )

    model = fresh(0)
    prune(pruner, model, replace(world(), fresh=fresh))

    assert set(sparsity.masks(model)) == {"0"}


def test_a_net_without_anything_to_prune_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))

    with pytest.raises(ValueError, match="no convolutions to prune"):
        prune(Omp(), flat, world())


def test_a_pruner_learns_the_retain_set_alone_unless_told_otherwise(pruner: Pruner) -> None:
    def labelled(label: int) -> Given:
        given = again(world())
        given.forget.labels[given.forget.index] = label
        return given

    blind = [prune(pruner, net(), labelled(label)) for label in (0, 1)]
    whole = replace(pruner, images="training")
    seeing = [prune(whole, net(), labelled(label)) for label in (0, 1)]

    assert same(*blind)
    assert not same(*seeing)


@pytest.mark.parametrize("kind", [Imp, Synflow])
def test_what_trains_anew_needs_the_recipe(kind: type[Pruner]) -> None:
    with pytest.raises(ValueError, match="needs the recipe"):
        prune(kind(), net(), replace(world(), recipe=None))


# ---- each against its formula --------------------------------------------------------------------


def test_omp_drops_the_smallest_weights_of_all_layers_together() -> None:
    model = deep()
    sizes = torch.cat([model[0].weight.abs().flatten(), model[3].weight.abs().flatten()])  # type: ignore[index, operator]
    limit = sizes.sort().values[len(sizes) - round(0.2 * len(sizes))]

    prune(Omp(sparsity=0.8, epochs=1), model, world())

    for number, mask in sparsity.masks(model).items():
        before = deep()[int(number)].weight  # type: ignore[index]
        assert torch.equal(mask == 1, before.abs() >= limit)


def test_synaptic_flow_is_conserved_from_layer_to_layer() -> None:
    layers = (nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(),
              nn.Flatten(), nn.Linear(64, 9, bias=False), nn.ReLU(), nn.Linear(9, 3))  # fmt: skip
    model = nn.Sequential(*layers)
    for layer in (model[0], model[3], model[8]):
        nn.init.zeros_(layer.bias)
    flow = linear(model)(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum()

    twin = linear(model)
    found = scores(twin, (8, 8, 3), hold_all(twin))

    for score in found.values():
        assert score.dtype == torch.float64
        assert float(score.sum()) == pytest.approx(float(flow.detach()), rel=1e-12)


def hold_all(model: nn.Module) -> sparsity.Masks:
    open_ones = sparsity.open_masks(model, "weights")
    sparsity.hold(model, open_ones)
    return open_ones


def test_batchnorm_lets_the_flow_through_whatever_it_has_learned() -> None:
    model, ones = deep(), torch.ones(1, 1, 8, 8, dtype=torch.float64)
    before = linear(model)(ones)
    model[1].running_mean.fill_(100.0)  # type: ignore[index, union-attr, operator]
    model[1].running_var.fill_(1e-4)  # type: ignore[index, union-attr, operator]

    assert torch.equal(linear(model)(ones), before)


def test_synflow_chooses_without_any_image() -> None:
    one, other = world(), world()
    other.retain.pixels.gather(torch.arange(3)).zero_()
    other.retain.labels.fill_(0)

    masks = []
    for given in (one, other):
        model = deep()
        prune(Synflow(), model, replace(given, fresh=deep))
        masks.append(sparsity.masks(model))

    assert same(*masks)


def test_synflow_cuts_no_layer_through() -> None:
    model = deep()

    masks = Synflow(sparsity=0.95, tensors="weights").masks(model, (8, 8, 1))

    assert all(mask.any() for mask in masks.values())
