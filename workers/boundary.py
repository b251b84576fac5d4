"""What Boundary Shrink and Boundary Expanding share: how they push forgotten images away."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from workers.batches import Feed
from workers.kinds import Given, Method, Recipe, Steps
from workers.modes import BatchNorm, settle
from workers.training import loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary(Method):
    """Forgotten images learn other labels, retain images beside them keep their own."""

    designed_for: ClassVar[frozenset[str]] = frozenset({"class"})

    learning_rate: Annotated[float, Gt(0)] = 0.01
    alone_rate: Annotated[float, Gt(0)] = 3e-5
    """The learning rate where no retain image holds the other classes: retain_share 0, or none is
    at hand."""
    epochs: Annotated[int, Ge(1)] = 1
    """Passes over the forget set."""
    steps: Annotated[int, Ge(0)] = 80
    """At least so many updates: a small forget set is passed over more often."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Forget images in a batch, if there are so many."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    retain_share: Annotated[float, Ge(0)] = 1.0
    """Retain images in a batch, as a share of `batch_size`; 0 uses the forget set only."""
    batchnorm: BatchNorm = "retain"
    """BatchNorm statistics. `retain`: every batch is normalised by its retain images, and at the
    end the statistics are estimated anew on retain images; as `frozen` where there are none.
    `frozen`: the original's. `train`: every batch moves them (the published code).
    `recalibrate`: likewise, and estimated anew at the end."""

    def push(
        self,
        model: nn.Module,
        given: Given,
        targets: Tensor,
        only: Sequence[nn.Parameter] | None = None,
    ) -> Steps:
        """Learn `targets`, (n,) int64, for the forget set, by the parameters `only` or all."""
        nobody = torch.zeros(0, dtype=torch.int64, device=given.retain.index.device)
        retain = given.retain if self.retain_share else given.retain.take(nobody)
        feed = Feed(
            main=given.forget,
            targets=targets,
            beside=retain,
            share=self.retain_share * max(1.0, self.batch_size / len(given.forget)),
        )
        recipe = Recipe(
            epochs=max(self.epochs, ceil(self.steps / feed.steps(self.batch_size))),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate if len(retain) else self.alone_rate,
            momentum=self.momentum,
            weight_decay=0.0,
            schedule="constant",
        )
        yield from loop(
            model,
            feed,
            recipe,
            rng=given.rng,
            precision=given.precision,
            resume=given.resume,
            batchnorm=self.batchnorm,
            only=only,
        )
        settle(model, self.batchnorm, retain, given.rng, given.precision)
