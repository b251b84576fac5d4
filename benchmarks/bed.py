"""What the ratios are measured on: CIFAR-10, its nets, and sets of any size."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import nets
from benchmarks.cifar10 import CLASSES, NET, RECIPE
from benchmarks.measure import Images, Net, read
from benchmarks.worlds import NOBODY, World
from workers.kinds import Given, Recipe, Samples

HALF, FULL = NET, replace(NET, parameters={"width": 1.0})
RESNET = replace(NET, architecture="resnet18_cifar", parameters={})
LABEL = 4
"""The class that is forgotten."""


@dataclass(frozen=True)
class Bed:
    """Images, and where the checkpoints lie."""

    data: Path
    models: Path
    images: Images

    @classmethod
    def made(cls, data: Path, models: Path) -> "Bed":
        """Read everything once."""
        return cls(data, models, read(data / "cifar10", CLASSES))

    def net(self, net: Net = HALF, *, trained: bool = True) -> nn.Module:
        """The checkpoint for All-CNN at half width, if it is to be trained; else a fresh net."""
        if trained and net is HALF:
            file = self.models / "all_cnn_cifar10" / "original.safetensors"
            return nets.loaded(net, self.images, file)
        return nets.built(net, self.images, seed=0)

    def given(self, forget: int = 5000, retain: int = 45_000, **recipe: Any) -> Given:
        """So many images of the class to forget, and so many of the others to keep."""
        mine = self.images.labels == LABEL
        train = self.images.train
        keep = self.rows(train & ~mine, retain)
        if retain > len(keep):  # a smaller forget set leaves more of its class
            rest = (train & mine).nonzero().flatten()[forget:]
            keep = Samples(keep.pixels, keep.labels, torch.cat([keep.index, rest.to(keep.index)]))
        return Given(
            forget=self.rows(train & mine, forget),
            retain=keep,
            holdout=self.rows(train & ~train, 0),
            classes=len(CLASSES),
            fresh=partial(nets.built, HALF, self.images),
            recipe=Recipe(**RECIPE | recipe),
            rng=torch.Generator().manual_seed(0),
        )

    def world(self) -> World:
        """The same images, as an audit sees them."""
        return World(self.images, self.images.train.nonzero().flatten(), NOBODY)

    def rows(self, mask: torch.Tensor, count: int) -> Samples:
        """The first `count` of these."""
        index = mask.nonzero().flatten()[:count]
        return self.images.samples.take(index.to(self.images.samples.index.device))


def flops(model: nn.Module) -> tuple[float, float]:
    """FLOP of a picture of 32 x 32 pixels: forward, and forward with backward."""
    images = torch.zeros(1, 3, 32, 32, device=next(model.parameters()).device)
    counts = []
    for backward in (False, True):
        with FlopCounterMode(display=False) as counter:
            logits = model.eval()(images)
            if backward:
                logits.sum().backward()
        counts.append(float(counter.get_total_flops()))
    return counts[0], counts[1]
