"""The nearest other class of an image, as a net sees it: found across its decision boundary."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.folding import folded
from workers.kinds import Samples
from workers.modes import autocast, dtype_of, frozen, full

SEARCHED = 256
"""Images whose neighbours are searched at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How to look for x', and so for the label across the nearest boundary."""

    by: Literal["fgsm", "pgd", "second_logit"] = "fgsm"
    epsilon: float = 0.1
    """How far x' may lie from x in each pixel, of the range [0, 1]."""
    step: float = 0.03
    iterations: int = 5
    random_start: bool = False
    precision: str = "fp32"

    def logits(self, model: nn.Module, samples: Samples, rng: torch.Generator) -> Iterator[Tensor]:
        """f(x') for all samples in order, (B, K) at a time, `model` in evaluation mode."""
        kind = dtype_of(model)
        with frozen(model), folded(model):
            for images, labels in samples.batches(SEARCHED):
                moved = self.moved(model, images.to(kind), labels, rng)
                with torch.no_grad(), autocast(images.device, self.precision):
                    logits = model(moved)
                yield full(logits)

    def moved(
        self, model: nn.Module, images: Tensor, labels: Tensor, rng: torch.Generator
    ) -> Tensor:
        """x' (B, C, H, W), in [0, 1] and within `epsilon` of x in every pixel.

        `fgsm`: x' = clip(x + epsilon * sign(grad_x CE(f(x), y))), one step up the loss.
        `pgd`: `iterations` of them, each `step` wide and brought back to within `epsilon`.
        `second_logit`: x itself.
        """
        if self.by == "second_logit":
            return images
        if self.by == "fgsm":
            return self._up(model, images, images, labels, self.epsilon)
        moved = images
        if self.random_start:
            noise = torch.rand(images.shape, generator=rng).to(images)
            moved = (images + self.epsilon * (2 * noise - 1)).clamp(0, 1)
        for _ in range(self.iterations):
            moved = self._up(model, images, moved, labels, self.step)
        return moved

    def _up(
        self, model: nn.Module, images: Tensor, moved: Tensor, labels: Tensor, step: float
    ) -> Tensor:
        """One signed step from `moved` up the loss, within reach of `images`.

        The loss is summed, so that the gradient of an image hangs on no other image.
        """
        moved = moved.detach().requires_grad_()
        with autocast(images.device, self.precision):
            logits = model(moved)
        loss = cross_entropy(full(logits), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, moved)
        wanted = moved.detach() + step * slope.sign()
        return wanted.clamp(images - self.epsilon, images + self.epsilon).clamp(0, 1)


def nearest(logits: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and what is allowed of them, (n, K) each -> the largest label, and its margin.

    Returns:
        (n,) int64, and (n,) in [-1, 0]: the probability of the runner-up less that of the label,
        among the allowed ones.
    """
    odds = logits.masked_fill(~allowed, -torch.inf).softmax(1)
    two = odds.topk(2, dim=1)
    return two.indices[:, 0], two.values[:, 1] - two.values[:, 0]
