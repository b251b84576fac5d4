"""What the batches of a run are made of: one set in a new order each epoch, another beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import pad

from workers.kinds import Recipe, Samples

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
    beside: Tensor
    """(B - m,) int64: positions of the others within the set beside it."""
    seed: int
    """For layers that draw at random, such as dropout."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a batch lies."""

    done: int
    """Batches before it."""
    epoch: int
    """From 0."""
    last: bool
    """Is it the last of its epoch?"""


Targets = Tensor | Callable[[torch.Generator], Tensor]
"""(n,) int64: labels to learn in place of their own; or what draws such labels for an epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Each epoch shows every image of `main` once, and beside each `share` images of `beside`."""

    main: Samples
    targets: Targets | None = None
    """For `main`."""
    beside: Samples | None = None
    share: float = 0.0
    """Images of `beside` for each image of `main`."""
    apart: bool = False
    """An epoch shows `main` first and `beside` afterwards, in batches of their own."""
    rounds: int | None = None
    """With `apart`: the epochs, from the first, that show `main`; None for all."""
    augment: str = "none"

    def __post_init__(self) -> None:
        if not len(self.main):
            raise ValueError("There are no images to train on.")
        if self.augment not in AUGMENTS:
            known = ", ".join(AUGMENTS)
            raise ValueError(f"There is no augmentation {self.augment!r}; take one of {known}.")

    def steps(self, size: int, epoch: int = 0) -> int:
        """Batches in an epoch, counted from 0."""
        return sum(1 for _ in self._cuts(size, epoch))

    def total(self, recipe: Recipe) -> int:
        """Batches in a run."""
        return sum(self.steps(recipe.batch_size, epoch) for epoch in range(recipe.epochs))

    def walk(
        self, recipe: Recipe, rng: torch.Generator, begun: int = 0
    ) -> Iterator[tuple[Place, Batch]]:
        """The batches of a run, once `begun` epochs are done."""
        done = sum(self.steps(recipe.batch_size, epoch) for epoch in range(begun))
        for epoch in range(begun, recipe.epochs):
            end = done + self.steps(recipe.batch_size, epoch)
            for batch in self.epoch(recipe.batch_size, rng, epoch):
                yield Place(done, epoch, done + 1 == end), batch
                done += 1

    def epoch(self, size: int, rng: torch.Generator, epoch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, `size` images of the main set in each."""
        targets = self.targets(rng) if callable(self.targets) else self.targets
        order = torch.randperm(len(self.main), generator=rng)
        other = self._beside(rng)
        cuts = [*self._cuts(size, epoch)]
        for (mine, theirs), following in zip_longest(cuts, cuts[1:]):
            batch = self._batch(order[mine], other[theirs], targets, rng)
            if following is not None:
                self._expect(order[following[0]], other[following[1]])
            yield batch

    def _expect(self, mine: Tensor, theirs: Tensor) -> None:
        self.main.expect(mine)
        if self.beside is not None:
            self.beside.expect(theirs)

    def _cuts(self, size: int, epoch: int) -> Iterator[tuple[slice, slice]]:
        """Of each batch: its part of the main set's order and of that beside."""
        ends = _ends(len(self.main), size)
        if not self.apart:
            for start, end in pairwise([0, *ends]):
                yield slice(start, end), self._share(start, end)
            return
        if self.rounds is None or epoch < self.rounds:
            for start, end in pairwise([0, *ends]):
                yield slice(start, end), slice(0)
        if self._wanted:
            for start, end in pairwise([0, *_ends(self._wanted, size)]):
                yield slice(0), slice(start, end)

    @property
    def _wanted(self) -> int:
        """Images of `beside` in an epoch."""
        return round(len(self.main) * self.share) if self.beside else 0

    def _share(self, start: int, end: int) -> slice:
        return slice(round(start * self.share), round(end * self.share))

    def _beside(self, rng: torch.Generator) -> Tensor:
        """Positions within `beside` for a whole epoch: each once before any comes again."""
        rounds = ceil(self._wanted / len(self.beside)) if self.beside else 0
        orders = [torch.randperm(len(self.beside or ()), generator=rng) for _ in range(rounds)]
        return torch.cat([torch.empty(0, dtype=torch.int64), *orders])[: self._wanted]

    def _batch(
        self, mine: Tensor, theirs: Tensor, targets: Tensor | None, rng: torch.Generator
    ) -> Batch:
        parts, place = list[tuple[Tensor, Tensor]](), self.main.index.device
        which, others = mine.to(place), theirs.to(place)
        if len(mine):
            images, labels = self.main.at(which)
            parts.append((images, labels if targets is None else targets[which]))
        if self.beside is not None and len(theirs):
            parts.append(self.beside.at(others))
        images, labels = (
            torch.cat(both) if len(both) > 1 else both[0] for both in zip(*parts, strict=True)
        )
        if self.augment == "crop_flip":
            images = crop_flip(images, rng)
        seed = int(torch.randint(2**62, (), generator=rng))
        return Batch(images, labels, which, others, seed)


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
