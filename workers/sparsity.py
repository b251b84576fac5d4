"""Masks that hold: which weights may become zero, how they are kept so, and what a pruner is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn
from torch.nn.utils import prune

from workers.heads import head
from workers.kinds import Given, Method, Samples, Steps

Tensors = Literal["convolutions", "weights"]
Masks = dict[str, Tensor]
"""Of each masked layer, by its name: 1 where a weight stays, 0 where it is gone."""

ORIGINAL, MASK = "_orig", "_mask"
"""How `torch.nn.utils.prune` names a weight and its mask while the mask holds."""
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruner(ABC):
    """A way to make a net sparse before it unlearns. One file holds one, under the file's name."""

    __pydantic_config__: ClassVar[dict[str, Any]] = Method.__pydantic_config__
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of `retain`, `recipe`: what must be at hand, or the request is refused."""
    exact: ClassVar[bool] = False
    """True only where the masks say nothing of the forget set."""

    sparsity: Annotated[float, Gt(0), Lt(1)] = 0.95
    """The share of the chosen weights, counted over all of them together, that becomes zero."""
    tensors: Tensors = "convolutions"
    """What is pruned: the weights of convolutions, or those of linear layers too. The last layer,
    biases and BatchNorm stay dense."""
    images: Literal["retain", "training"] = "retain"
    """On what the sparse net learns: the retain set, or all training images, forgotten ones too
    (as published: the method that follows then has all of the forgetting to do)."""

    @abstractmethod
    def prune(self, model: nn.Module, given: Given) -> Steps:
        """Make `model` sparse in place, its masks held, yielding as a method does.

        `model` comes without masks, also where a run is resumed.
        """

    def learned(self, given: Given) -> Samples:
        """The images that the sparse net learns."""
        if self.images == "retain":
            return given.retain
        both = torch.cat([given.retain.index, given.forget.index]).sort().values
        return replace(given.retain, index=both)


# ---- which weights -----------------------------------------------------------------------------


def layers(model: nn.Module, tensors: Tensors) -> dict[str, nn.Module]:
    """The layers that may be pruned, by name, in the order of the net.

    Raises:
        ValueError: there is none.
    """
    last, _ = head(model)
    kinds = LAYERS if tensors == "weights" else LAYERS[:-1]
    found: dict[str, nn.Module] = {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, kinds) and name != last
    }
    if not found:
        raise ValueError(f"The net has no {tensors} to prune before its last layer.")
    return found


def weights(model: nn.Module, tensors: Tensors) -> dict[str, Tensor]:
    """Their weights, by the layer's name, as they act."""
    state = plain(model)
    return {name: state[f"{name}.weight"] for name in layers(model, tensors)}


def largest(scores: Mapping[str, Tensor], sparsity: float) -> Masks:
    """Masks that keep the best share 1 - `sparsity`, over all layers together; ties: the first."""
    flat = torch.cat([score.flatten() for score in scores.values()])
    kept = round((1 - sparsity) * len(flat))
    mask = torch.zeros_like(flat)
    mask[flat.argsort(descending=True, stable=True)[:kept]] = 1
    parts = mask.split([score.numel() for score in scores.values()])
    return {
        name: part.view_as(score) for (name, score), part in zip(scores.items(), parts, strict=True)
    }


def zeros(model: nn.Module, dimensions: int = 0, reach: float = 0.0) -> float:
    """The share of zeros among parameters of so many dimensions or more, in [0, 1].

    Exact ones, or with `reach` all that are no further from zero than that.
    """
    chosen = [weight for weight in model.parameters() if weight.dim() >= dimensions]
    total = sum(map(torch.numel, chosen))
    return sum(int((weight.abs() <= reach).sum()) for weight in chosen) / total if total else 0.0


# ---- masks that hold ---------------------------------------------------------------------------


@torch.no_grad()
def hold(model: nn.Module, chosen: Masks) -> nn.Module:
    """Let these masks hold in `model`, which has none yet; the same net.

    Whatever a method does to a masked weight, it acts as zero and gets no gradient.
    """
    for name, mask in chosen.items():
        layer = model.get_submodule(name)
        weight = layer.get_parameter("weight")
        weight.mul_(mask.to(weight))
        # A mask in the weight's own memory layout, since the product of the two takes theirs.
        prune.custom_from_mask(layer, "weight", torch.zeros_like(weight).copy_(mask))
    return model


def masks(model: nn.Module) -> Masks:
    """The masks that hold."""
    end = f".weight{MASK}"
    held = (name for name, _ in model.named_buffers() if name.endswith(end))
    return {name.removesuffix(end): model.get_buffer(name) for name in held}


def zero_masks(model: nn.Module, tensors: Tensors = "weights") -> Masks:
    """Masks that keep every exact zero where it is."""
    return {name: (weight != 0).to(weight) for name, weight in weights(model, tensors).items()}


def open_masks(model: nn.Module, tensors: Tensors) -> Masks:
    """Masks that let every weight through."""
    return {name: torch.ones_like(weight) for name, weight in weights(model, tensors).items()}


@torch.no_grad()
def plain(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as if it had no masks: the names of a dense net, and exact zeros."""
    held = masks(model)
    state = model.state_dict()
    for name, mask in held.items():
        del state[f"{name}.weight{MASK}"]
        state[f"{name}.weight"] = state.pop(f"{name}.weight{ORIGINAL}") * mask
    return state
