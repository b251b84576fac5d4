"""Boundary Shrink: every forgotten image learns the label of its nearest other class."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.boundary import Boundary
from workers.kinds import Cost, Given, Samples, Steps
from workers.modes import autocast, dtype_of, frozen, full

SEARCHED = 256
"""Images whose neighbours are searched at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryShrink(Boundary):
    """Relabels each forgotten image with its nearest wrong class and learns that; thorough.

    One step against the original net, `epsilon` wide in every pixel, finds the class across the
    nearest boundary (never the image's own). The net then learns those labels, so that the region
    of the forgotten class falls to its neighbours, while retain images beside them keep theirs. It
    is designed for whole classes. Approximate: the audit says how far it went.

    Source: Chen, Gao, Liu, Peng and Wang, "Boundary Unlearning", CVPR 2023, arXiv:2303.11570,
    section 3.2; the step is FGSM (Goodfellow et al. 2015). Ours: true pixel units, labels searched
    once, the true label left out, and retain images in the batches, which also set what BatchNorm
    normalises by; at the published settings most of the forgetting is drift of its statistics.
    """

    epsilon: Annotated[float, Gt(0), Le(1)] = 0.1
    """How far the search moves each pixel, of the range [0, 1]."""
    epochs: Annotated[int, Ge(1)] = 2
    """Passes over the forget set."""

    @classmethod
    def cost(cls) -> Cost:
        """The search takes a gradient of each image, and one look at where it leads."""
        pushed = super(BoundaryShrink, cls).cost()
        return replace(pushed, forwards=f"{pushed.forwards} + 3 * forget")

    def neighbours(self, model: nn.Module, given: Given) -> Tensor:
        """(n,) int64: the label that each forgotten image is pushed towards, by the base model."""
        return search(model, given.forget, self.epsilon, given.precision)

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Search once, then learn."""
        yield from self.push(model, given, self.neighbours(model, given))


def search(model: nn.Module, samples: Samples, epsilon: float, precision: str) -> Tensor:
    """The nearest incorrect label of each sample, (n,) int64: argmax of f(x') without the true one.

    x' = clip(x + epsilon * sign(grad_x CE(f(x), y)), 0, 1), `model` in evaluation mode.
    """
    kind, found = dtype_of(model), []
    with frozen(model):
        for images, labels in samples.batches(SEARCHED):
            with autocast(images.device, precision):
                logits = full(model(perturbed(model, images.to(kind), labels, epsilon, precision)))
            others = logits.detach().scatter(1, labels[:, None], -torch.inf)
            found.append(others.argmax(1))
    return torch.cat(found)


def perturbed(
    model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, precision: str
) -> Tensor:
    """x' (B, C, H, W): one step up the loss, in [0, 1] and within `epsilon` of x in every pixel.

    The loss is summed, so that the gradient of an image hangs on no other image.
    """
    images = images.detach().requires_grad_()
    with autocast(images.device, precision):
        logits = model(images)
    loss = cross_entropy(full(logits), labels, reduction="sum")
    (slope,) = torch.autograd.grad(loss, images)
    return (images + epsilon * slope.sign()).clamp(0, 1).detach()
