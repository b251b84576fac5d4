"""Iterative magnitude pruning against its algorithm."""

from dataclasses import replace

import pytest
import torch
from given import again, deep, net, world
from torch import Tensor

from workers import sparsity
from workers.kinds import Recipe, State
from workers.pruning.imp import Imp


def test_each_round_of_imp_starts_from_the_early_weights_with_fewer_of_them() -> None:
    recipe = Recipe(epochs=3, batch_size=16, learning_rate=0.05)
    given = replace(again(world()), recipe=recipe)
    pruner = Imp(sparsity=0.75, rounds=2, rewind=1)
    states = [step.state() for step in pruner.prune(net(), given) if step.state is not None]

    rounds = [state for state in states if state["round"] != 0]
    shares = [float(masked(state).mean()) for state in rounds]
    assert shares == pytest.approx([0.5] * 2 + [0.25] * 2, abs=0.02)
    early = [state["early.model.0.weight_orig"] for state in states]
    assert all(torch.equal(early[0], each) for each in early)  # type: ignore[arg-type]
    first = states[0]["now.model.0.weight_orig"]
    assert torch.equal(early[0], first)  # type: ignore[arg-type] # after one epoch


def test_imp_goes_back_to_early_weights_without_those_that_are_the_smallest_now() -> None:
    model, chance = deep(1), torch.Generator().manual_seed(0)
    held = {"0": torch.ones_like(model[0].weight), "3": torch.ones_like(model[3].weight)}  # type: ignore[index, arg-type]
    held["3"].view(-1)[torch.randperm(432, generator=chance)[:100]] = 0
    sparsity.hold(model, held)
    young = sparsity.hold(deep(2), sparsity.open_masks(deep(2), "convolutions")).state_dict()
    early: State = {f"model.{name}": value for name, value in young.items()}
    early |= {"epoch": 1, "momentum.0": torch.ones(3)}

    state = Imp(sparsity=0.75, rounds=2).rewound(early, model, 1)

    acting = sparsity.plain(model)
    sizes = {name: acting[f"{name}.weight"].abs() for name in ("0", "3")}
    limit = torch.cat([size.flatten() for size in sizes.values()]).sort().values[243]
    for name, size in sizes.items():
        left, old = size >= limit, early[f"model.{name}.weight_orig"]
        assert torch.equal(state[f"model.{name}.weight_mask"] == 1, left)  # type: ignore[arg-type]
        assert torch.equal(state[f"model.{name}.weight_orig"], torch.where(left, old, 0))  # type: ignore[arg-type, call-overload]
    assert torch.equal(state["model.8.weight"], early["model.8.weight"])  # type: ignore[arg-type]
    assert (state["epoch"], "momentum.0" in state) == (1, False)


def masked(state: State) -> Tensor:
    found = state["now.model.0.weight_mask"]
    assert isinstance(found, Tensor)
    return found
