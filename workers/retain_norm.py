"""BatchNorm of a whole batch by the statistics of some of its images."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import batch_norm


def normalised(
    inputs: Tensor, weight: Tensor | None, bias: Tensor | None, first: int, eps: float
) -> Tensor:
    """(B, C, ...) -> the same shape; gradients go through the statistics, as in training.

    With mean m and biased variance v, a channel each, of the images from `first` on:
    y = weight * (x - m) / sqrt(v + eps) + bias.
    """
    channels, kind = inputs.shape[1], torch.promote_types(inputs.dtype, torch.float32)
    ones = torch.ones(channels, dtype=kind, device=inputs.device)
    found: Tensor = _Normalised.apply(
        inputs,
        ones if weight is None else weight,
        torch.zeros_like(ones) if bias is None else bias,
        first,
        eps,
    )
    return found


class _Normalised(torch.autograd.Function):
    """A few passes over the images, each by a kernel of BatchNorm.

    By single operations, as in `written_out`, a whole training step takes twice as long.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, first: int, eps: float
    ) -> Tensor:
        _, mean, inverse = torch.native_batch_norm(
            inputs[first:], weight, bias, None, None, training=True, momentum=0.0, eps=eps
        )
        var = inverse.pow(-2)
        ctx.save_for_backward(inputs, weight, bias, mean, var)
        ctx.first, ctx.eps = first, eps
        return batch_norm(inputs, mean, var, weight, bias, eps=0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, bias, mean, var = ctx.saved_tensors
        (above,) = gradients
        if torch.is_grad_enabled():  # someone wants the derivative of this one too
            again = written_out(inputs, weight, bias, ctx.first, ctx.eps)
            asked = (inputs, weight, bias)
            wanted = [each for each in asked if each.requires_grad]
            found = iter(torch.autograd.grad(again, wanted, above, create_graph=True))
            return *(next(found) if each.requires_grad else None for each in asked), None, None
        below, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            *(above, inputs, weight, mean, var, None, None),
            train=False,
            eps=0.0,
            output_mask=[True, True, True],
        )
        # What the statistics pass on, to the images that they are of: a line in x for each channel.
        mine = inputs[ctx.first :]
        share = weight * var.rsqrt() * (inputs.shape[1] / mine.numel())
        slope = -share * of_weight * var.rsqrt()
        level = -share * of_bias - slope * mean
        zeros, ones = torch.zeros_like(mean), torch.ones_like(var)
        below[ctx.first :] += batch_norm(mine, zeros, ones, slope, level, eps=0.0)
        return below, of_weight, of_bias, None, None


def written_out(inputs: Tensor, weight: Tensor, bias: Tensor, first: int, eps: float) -> Tensor:
    """`normalised` by single operations, each of which can be differentiated as often as wanted."""
    places = [0, *range(2, inputs.dim())]
    mine = inputs[first:].to(weight.dtype)
    var, mean = torch.var_mean(mine, places, correction=0)
    scale = weight * torch.rsqrt(var + eps)
    shape = (1, -1, *[1] * (inputs.dim() - 2))
    shift = (bias - mean * scale).view(shape)
    return torch.addcmul(shift, inputs, scale.view(shape)).to(inputs.dtype)
