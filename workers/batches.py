"""What the batches of a run are made of: one set in a new order each epoch, another beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import pad

from workers.kinds import Samples

AUGMENTS = ("none", "crop_flip")
PAD = 4


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images of the main set, then the images beside them."""

    images: Tensor
    """(B, C, H, W) in [0, 1]."""
    labels: Tensor
    """(B,) int64: what the net is to learn."""
    which: Tensor
    """(m,) int64: positions of the first m images within the main set."""
    seed: int
    """For layers that draw at random, such as dropout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Each epoch shows every image of `main` once, and beside each `share` images of `beside`."""

    main: Samples
    targets: Tensor | None = None
    """(n,) int64: labels to learn for `main` in place of its own."""
    beside: Samples | None = None
    share: float = 0.0
    """Images of `beside` for each image of `main`."""
    augment: str = "none"

    def __post_init__(self) -> None:
        if not len(self.main):
            raise ValueError("There are no images to train on.")
        if self.augment not in AUGMENTS:
            known = ", ".join(AUGMENTS)
            raise ValueError(f"There is no augmentation {self.augment!r}; take one of {known}.")

    def steps(self, size: int) -> int:
        """Batches in an epoch."""
        return len(_ends(len(self.main), size))

    def epoch(self, size: int, rng: torch.Generator) -> Iterator[Batch]:
        """The batches of one epoch, `size` images of the main set in each."""
        order = torch.randperm(len(self.main), generator=rng)
        other = self._beside(rng)
        start = 0
        for end in _ends(len(order), size):
            mine = order[start:end]
            theirs = other[round(start * self.share) : round(end * self.share)]
            yield self._batch(mine, theirs, rng)
            start = end

    def _beside(self, rng: torch.Generator) -> Tensor:
        """Positions within `beside` for a whole epoch: each once before any comes again."""
        if self.beside is None or not len(self.beside):
            return torch.empty(0, dtype=torch.int64)
        wanted = round(len(self.main) * self.share)
        rounds = ceil(wanted / len(self.beside))
        orders = [torch.randperm(len(self.beside), generator=rng) for _ in range(rounds)]
        return torch.cat([torch.empty(0, dtype=torch.int64), *orders])[:wanted]

    def _batch(self, mine: Tensor, theirs: Tensor, rng: torch.Generator) -> Batch:
        which = mine.to(self.main.index.device)
        images, labels = self.main.at(which)
        if self.targets is not None:
            labels = self.targets[which]
        if self.beside is not None and len(theirs):
            more, their_labels = self.beside.at(theirs.to(which.device))
            images, labels = torch.cat([images, more]), torch.cat([labels, their_labels])
        if self.augment == "crop_flip":
            images = crop_flip(images, rng)
        return Batch(images, labels, which, int(torch.randint(2**62, (), generator=rng)))


def crop_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Pad by 4 with black, crop at random to the old size, mirror every other one at random.

    Args:
        images: (B, C, H, W). rng: on the CPU.
    """
    count, _, height, width = images.shape
    draw = torch.randint(2 * PAD + 1, (2, count), generator=rng).to(images.device)
    flip = torch.randint(2, (count,), generator=rng).to(images.device, torch.bool)
    rows = draw[0][:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, -1)
    columns = draw[1][:, None] + torch.where(flip[:, None], columns.flip(1), columns)
    padded = pad(images, (PAD, PAD, PAD, PAD)).permute(0, 2, 3, 1)
    picked = torch.arange(count, device=images.device)[:, None, None]
    return padded[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _ends(count: int, size: int) -> list[int]:
    """Where batches end; a single image left over joins the last one, BatchNorm needs company."""
    ends = [*range(size, count, size), count]
    if len(ends) > 1 and count - ends[-2] == 1:
        ends.pop(-2)
    return ends
