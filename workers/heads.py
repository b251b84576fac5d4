"""The last linear layer of any net: found by its place, widened and narrowed in place."""

import math

import torch
from torch import nn

Head = nn.Linear | nn.Conv2d


def head(model: nn.Module, classes: int | None = None) -> tuple[str, Head]:
    """Name and module of the layer that makes the logits: the last `Linear`, else the last conv.

    Args:
        classes: how many outputs it must have; None for any.

    Raises:
        ValueError: the net has no such layer.
    """
    for kind in (nn.Linear, nn.Conv2d):
        for name, module in reversed(list(model.named_modules())):
            if isinstance(module, kind) and classes in {None, len(module.weight)}:
                return name, module
    wanted = "" if classes is None else f" with {classes} outputs"
    raise ValueError(f"The net has no linear layer{wanted} that could make its logits.")


@torch.no_grad()
def widen(layer: Head, rng: torch.Generator) -> None:
    """Give the layer one more output, the shadow class: old rows as they were, the new one fresh.

    The new row is Xavier-normal, as in the published code of Boundary Unlearning: variance
    2 / (fan_in + fan_out) of the widened layer. Its bias is zero.
    """
    fan_in, fan_out = layer.weight[0].numel(), len(layer.weight) + 1
    row = torch.randn(layer.weight[:1].shape, generator=rng) * math.sqrt(2 / (fan_in + fan_out))
    layer.weight = nn.Parameter(torch.cat([layer.weight, row.to(layer.weight)]))
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.cat([layer.bias, layer.bias.new_zeros(1)]))
    _count(layer)


@torch.no_grad()
def narrow(layer: Head, classes: int) -> None:
    """Cut the layer back to its first outputs."""
    layer.weight = nn.Parameter(layer.weight[:classes].clone())
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[:classes].clone())
    _count(layer)


def _count(layer: Head) -> None:
    if isinstance(layer, nn.Linear):
        layer.out_features = len(layer.weight)
    else:
        layer.out_channels = len(layer.weight)
