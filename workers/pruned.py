"""What a method starts from: the base as it is, with its zeros held, or pruned first."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from models_store.rungs import Rung
from workers import pruning, shelf, sparsity
from workers.kinds import Given, State, Steps
from workers.sparsity import Masks, Pruner
from workers.stages import inside, keeping, part

Drive = Callable[[Steps], float]
"""Carries a run out; the seconds that it took."""


class Unlearner(Protocol):
    """A method, or what stands in for one."""

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """As `Method.unlearn`."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """A net in which masks may hold, what the method is given, and what its states need beside."""

    model: nn.Module
    given: Given
    beside: State = field(default_factory=dict)
    seconds: float = 0.0
    """That pruning took."""

    def steps(self, method: Unlearner) -> Steps:
        """The run of the method; resumed, it needs no pruning again."""
        for step in method.unlearn(self.model, self.given):
            yield keeping(step, "method", self.beside) if self.beside else step


def start(rung: Rung, base: nn.Module, given: Given, drive: Drive) -> Start:
    """Where the method begins, pruned if the rung asks for it. `base` stays as it is."""
    model = deepcopy(base)
    if rung.prune is not None:
        params = {**rung.prune["params"], "sparsity": rung.prune["sparsity"]}
        pruner = shelf.make(shelf.take(pruning, Pruner, rung.prune["method"]), params)
        return pruned(pruner, model, given, drive)
    if rung.sparse is not None:
        return held(model, given, sparsity.zero_masks(model))
    return Start(model, given)


def held(model: nn.Module, given: Given, masks: Masks) -> Start:
    """A net in which these masks hold, as they do in every fresh one."""
    sparsity.hold(model, masks)
    fresh = given.fresh
    return Start(model, replace(given, fresh=lambda seed: sparsity.hold(fresh(seed), masks)))


def pruned(pruner: Pruner, base: nn.Module, given: Given, drive: Drive) -> Start:
    """The net after its pruning, or as an earlier attempt left it. `base` is used up.

    The pruner draws from a generator of its own, so that the method's begins anew either way.
    """
    kept, seconds = part(given.resume, "pruned"), float((given.resume or {}).get("seconds", 0.0))
    if kept is None:
        seconds, kept = _carried_out(pruner, deepcopy(base), given, drive)
    base.load_state_dict(_tensors(kept, "state"))
    begun = held(base, replace(given, resume=part(given.resume, "method")), _tensors(kept, "mask"))
    beside = inside("pruned", kept) | {"seconds": seconds}
    return replace(begun, beside=beside, seconds=seconds)


def _carried_out(
    pruner: Pruner, model: nn.Module, given: Given, drive: Drive
) -> tuple[float, State]:
    rng = torch.Generator().manual_seed(given.rng.initial_seed() + 1)
    own = replace(given, rng=rng, resume=part(given.resume, "pruner"))
    seconds = drive(keeping(step, "pruner", {}) for step in pruner.prune(model, own))
    state: State = {**sparsity.plain(model)}
    masks: State = {**sparsity.masks(model)}
    return seconds, inside("state", state) | inside("mask", masks)


def _tensors(state: State, name: str) -> dict[str, Tensor]:
    found = part(state, name) or {}
    return {key: value for key, value in found.items() if isinstance(value, Tensor)}
