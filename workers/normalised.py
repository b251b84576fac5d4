"""Puts normalisation in front of a net, so that everybody else speaks of pixels in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalised(nn.Module):
    """Images in [0, 1] -> (image - mean) / std, channel by channel -> the net's logits.

    Mean and deviation belong to the model's registration and are no weights: they are in no
    state, and weights files have the names of the net inside.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, net: nn.Module, mean: Sequence[float], std: Sequence[float], channels: int
    ) -> None:
        """`channels`: what the net takes; an image of one channel is repeated to fill them."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.channels = channels
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, K) logits."""
        normalised = (images - self.mean) / self.std
        logits: Tensor = self.net(normalised.expand(-1, self.channels, -1, -1))
        return logits
