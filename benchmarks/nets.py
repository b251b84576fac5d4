"""Nets as they are registered with the service: built anew, or with weights from a file."""

from pathlib import Path

import torch
from torch import nn

from benchmarks.measure import Images, Net
from workers import shelf, weights


def built(net: Net, images: Images, seed: int) -> nn.Module:
    """A new net for these images, on their device; the seed decides its weights."""
    model = shelf.build(
        net.architecture,
        net.parameters,
        classes=int(images.labels.max()) + 1,
        shape=images.samples.pixels.shape,
        mean=net.mean,
        std=net.std,
        seed=seed,
    )
    device = images.samples.labels.device
    moved: nn.Module = model.to(device).to(memory_format=torch.channels_last)
    return moved


def loaded(net: Net, images: Images, file: Path) -> nn.Module:
    """The net with the weights of a safetensors file."""
    model = built(net, images, seed=0)
    weights.load(model, file)
    return model
