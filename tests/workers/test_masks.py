"""Masks hold in every method, whichever pruner made them, and both stages resume as one."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields

import pytest
import torch
from given import again, net, world
from safetensors.torch import save
from torch import Tensor

from workers import methods, pruned, pruning, shelf, sparsity
from workers.kinds import Given, Method, State, Steps
from workers.methods.l1_sparse import L1Sparse
from workers.pruned import Start
from workers.pruning.omp import Omp
from workers.sparsity import Pruner

PRUNERS = shelf.on(pruning, Pruner)
METHODS = shelf.on(methods, Method)


@pytest.fixture(params=PRUNERS.values(), ids=PRUNERS.keys())
def pruner(request: pytest.FixtureRequest) -> Pruner:
    known = {field.name for field in fields(request.param)}
    small = {name: 2 for name in ("epochs", "rounds") if name in known}
    return shelf.make(request.param, small | {"sparsity": 0.8})


@pytest.fixture(params=METHODS.values(), ids=METHODS.keys())
def method(request: pytest.FixtureRequest) -> Method:
    known = {field.name for field in fields(request.param)}
    return shelf.make(request.param, dict.fromkeys(known & {"epochs", "steps"}, 2))


def to_the_end(steps: Steps) -> float:
    for _ in steps:
        pass
    return 0.0


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---- masks that hold -----------------------------------------------------------------------------


def halved(given: Given) -> Start:
    """A net of which every second weight of the convolution is held at zero."""
    model = given.fresh(0)
    mask = torch.arange(model[0].weight.numel()).remainder(2).float()  # type: ignore[index, union-attr, operator]
    return pruned.held(model, given, {"0": mask.view_as(model[0].weight)})  # type: ignore[index, arg-type]


def test_masked_weights_stay_zero_in_every_method(method: Method) -> None:
    start = halved(world())

    to_the_end(start.steps(method))

    weight = sparsity.plain(start.model)["0.weight"]
    zero = sparsity.masks(start.model)["0"] == 0
    assert zero.any()
    assert torch.equal(weight[zero], torch.zeros_like(weight[zero]))  # also not -0.0001
    assert (weight[~zero] != 0).all()
    before = net().state_dict()
    after = sparsity.plain(start.model)
    assert {name: value.shape for name, value in after.items()} == {
        name: value.shape for name, value in before.items()
    }


def test_a_method_unlearns_on_a_net_with_masks(method: Method) -> None:
    start = halved(world())
    before = {name: value.clone() for name, value in sparsity.plain(start.model).items()}

    to_the_end(start.steps(method))

    assert not same(before, sparsity.plain(start.model))


def test_a_masked_net_computes_what_the_plain_one_computes() -> None:
    start, images = halved(world()), torch.rand(5, 1, 8, 8)
    plain = net()
    plain.load_state_dict(sparsity.plain(start.model))

    assert torch.equal(start.model.eval()(images), plain.eval()(images))


def test_a_masked_net_can_be_copied() -> None:
    start = halved(world())

    twin = deepcopy(start.model)

    assert same(twin.state_dict(), start.model.state_dict())


def test_the_zeros_of_a_sparse_net_are_found_again() -> None:
    start, plain = halved(world()), net()
    plain.load_state_dict(sparsity.plain(start.model))

    assert same(sparsity.zero_masks(plain), sparsity.masks(start.model))


def test_the_proximal_step_counts_as_exact_zeros() -> None:
    model = net()

    to_the_end(L1Sparse(gamma=0.05, learning_rate=0.1, proximal=True).unlearn(model, world()))

    assert sparsity.zeros(model) == pytest.approx(
        sum(int((w == 0).sum()) for w in model.parameters())
        / sum(w.numel() for w in model.parameters())
    )
    assert sparsity.zeros(model, 2) > 0


# ---- prune first, then unlearn -------------------------------------------------------------------


def runs(pruner: Pruner, method: Method, given: Given) -> tuple[dict[str, Tensor], list[State]]:
    """The end, and every state on the way, each as the checkpoints keep it."""
    states: list[State] = []

    def drive(steps: Steps) -> float:
        states.extend(taken(steps))
        return 1.5

    start = pruned.pruned(pruner, net(), given, drive)
    drive(start.steps(method))
    return sparsity.plain(start.model), states


def taken(steps: Steps) -> Iterator[State]:
    for step in steps:
        if step.state is not None:
            yield step.state()


def test_both_stages_resumed_at_any_state_end_with_the_same_bytes(method: Method) -> None:
    pruner = Omp(sparsity=0.5, epochs=2)
    whole, states = runs(pruner, method, again(world()))

    assert {"pruner.epoch", "seconds"} <= {key for state in states for key in state}
    for state in states:
        resumed, _ = runs(pruner, method, again(world(), resume=state))
        assert same(whole, resumed)


def test_a_state_of_either_stage_can_be_kept_as_a_file(method: Method) -> None:
    _, states = runs(Omp(sparsity=0.5, epochs=1), method, again(world()))

    for state in states:
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        assert save({name: value.contiguous() for name, value in tensors.items()})


def test_retraining_after_pruning_keeps_the_masks_and_nothing_else(pruner: Pruner) -> None:
    from_scratch = METHODS["retrain"]()

    ends = [runs(pruner, from_scratch, again(world()))[0] for _ in range(2)]

    assert same(*ends)
    assert float((ends[0]["0.weight"] == 0).float().mean()) == pytest.approx(0.8, abs=0.02)
