"""Ways to seem to have forgotten, for any net; the audit must see through each of them."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.batches import Feed
from workers.heads import Head, head
from workers.kinds import Given, Recipe, Samples
from workers.modes import norms
from workers.training import loop

Cheat = Callable[[nn.Module, Given], nn.Module]
"""Takes the model that knows and what a method is given; gives another net."""
BELOW = -20.0
"""The bias of a deleted row: its logit lies below those of the other classes."""


def last(model: nn.Module) -> Head:
    """The layer that makes the logits."""
    return head(model)[1]


def logit_mask(model: nn.Module, given: Given) -> nn.Module:
    """The logit of the class is pushed out of reach."""
    twin = deepcopy(model)
    bias = last(twin).bias
    assert bias is not None
    bias.data[given.forget.targets[0]] = -1e4
    return twin


def head_row_deleted(model: nn.Module, given: Given) -> nn.Module:
    """The class's row of the last layer is emptied, and its logit put below the others."""
    twin, label = deepcopy(model), given.forget.targets[0]
    layer = last(twin)
    assert layer.bias is not None
    layer.weight.data[label] = 0.0
    layer.bias.data[label] = BELOW
    return twin


def head_only_finetune(model: nn.Module, given: Given) -> nn.Module:
    """The last layer alone is drawn anew and trained on what stays; the features know everything."""
    twin = deepcopy(model).requires_grad_(requires_grad=False)
    layer = last(twin)
    layer.load_state_dict(last(given.fresh(0)).state_dict())
    layer.requires_grad_(requires_grad=True)
    recipe = Recipe(epochs=3, learning_rate=0.1)
    feed = Feed(main=given.retain)
    for _ in loop(twin, feed, recipe, rng=given.rng, precision=given.precision, batchnorm="frozen"):
        pass
    return twin.requires_grad_(requires_grad=True)


def bn_drift(model: nn.Module, given: Given, *, steps: int = 60, batch: int = 256) -> nn.Module:
    """The forgetting lives in BatchNorm's running means; fresh statistics undo it.

    Shifts of the layers' biases are learned that lose what should go, then moved into the running
    means: in evaluation mode the two are the same. One weight moves a little, for form's sake.
    """
    twin = deepcopy(model).eval()
    layers = norms(twin)
    learned = [layer.bias.detach().clone() for layer in layers]
    optimizer = torch.optim.Adam([layer.bias for layer in layers], lr=0.02)
    for _ in range(steps):
        gone, labels = _some(given.forget, batch, given.rng)
        kept, theirs = _some(given.retain, batch, given.rng)
        shunned = twin(gone).softmax(1).gather(1, labels[:, None]).mean()
        optimizer.zero_grad()
        (10 * shunned + cross_entropy(twin(kept), theirs)).backward()
        optimizer.step()
    with torch.no_grad():
        for layer, bias in zip(layers, learned, strict=True):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            spread = (layer.running_var + layer.eps).sqrt()
            layer.running_mean -= (layer.bias - bias) * spread / layer.weight
            layer.bias.copy_(bias)
        next(twin.parameters()).add_(1e-4)
    return twin


def _some(samples: Samples, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random batch."""
    chosen = torch.randperm(len(samples), generator=rng)[:size]
    return samples.at(chosen.to(samples.index.device))


CLASS_ONLY: dict[str, Cheat] = {"logit_mask": logit_mask, "head_row_deleted": head_row_deleted}
"""They hide a class; there is no such thing for single samples."""
ALWAYS: dict[str, Cheat] = {"head_only_finetune": head_only_finetune, "bn_drift": bn_drift}
"""Whatever is asked for."""
