"""How much work a run does, counted while it is done: images forward, and images backward."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

ATEN = torch.ops.aten


@dataclass(slots=True)
class Work:
    """Multiply-accumulates of convolutions; everything else in such nets is small beside them."""

    forward: float = 0.0
    backward: float = 0.0

    def images(self, one: "Work") -> dict[str, int]:
        """In images, where `one` is an image that goes forward and backward once.

        An image of which only the gradient by its pixels is taken counts as half a backward.
        """
        return {
            "forwards": round(self.forward / one.forward),
            "backwards": round(self.backward / one.backward),
        }


class Counter(TorchDispatchMode):
    """Within it every convolution counts, also those of `vmap` and of gradients of gradients."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry an operation out, and count it."""
        del types
        out = func(*args, **(kwargs or {}))
        if func is ATEN.convolution.default:
            self.work.forward += _products(out, args[1])
        elif func is ATEN.convolution_backward.default:
            by_input, by_weight, _ = args[-1]
            self.work.backward += (by_input + by_weight) * _products(args[0], args[2])
        return out


def of_one_image(model: nn.Module, image: Tensor) -> Work:
    """What one image (1, C, H, W) costs `model`, forward and backward; the net is left in `eval`."""
    work = Work()
    with Counter(work):
        label = torch.zeros(1, dtype=torch.int64, device=image.device)
        loss = cross_entropy(model.eval()(image), label)
        torch.autograd.grad(loss, [each for each in model.parameters() if each.requires_grad])
    return work


def _products(outputs: Tensor, weight: Tensor) -> int:
    """Of a convolution (grouped or not): each output sums over one filter."""
    return outputs.numel() * weight[0].numel()
