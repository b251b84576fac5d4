"""How forgotten images are pushed away while retain images beside them are held in place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.batches import Feed, Targets
from workers.kinds import Given, Method, Recipe, Samples, Steps
from workers.modes import BatchNorm, autocast, dtype_of, frozen, full, settle
from workers.training import Loss, Moment, learn, loop

MEASURED = 500
"""Images whose loss is measured at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push(Method):
    """Forgotten images learn something else, retain images beside them keep their own labels."""

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
        targets: Targets | None = None,
        *,
        only: Sequence[nn.Parameter] | None = None,
        apart: bool = False,
        loss: Loss = learn,
        after: Callable[[Moment], None] | None = None,
    ) -> Steps:
        """Learn `targets` for the forget set, by the parameters `only` or all; see `Feed`, `loop`.

        Every `loss` finds the forget images of a batch first, `len(batch.which)` of them.
        """
        nobody = torch.zeros(0, dtype=torch.int64, device=given.retain.index.device)
        retain = given.retain if self.retain_share else given.retain.take(nobody)
        feed = Feed(
            main=given.forget,
            targets=targets,
            beside=retain,
            share=self.retain_share * max(1.0, self.batch_size / len(given.forget)),
            apart=apart,
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
            loss=loss,
            after=after,
        )
        settle(model, self.batchnorm, retain, given.rng, given.precision)


# ---- where to ----------------------------------------------------------------------------------


def elsewhere(given: Given) -> Tensor:
    """(n, K) bool: the labels that each forgotten image may be pushed towards.

    Never its own, and never that of another class that is to be forgotten, where one is left.
    """
    labels = torch.arange(given.classes, device=given.forget.labels.device)
    others = labels != given.forget.targets[:, None]
    kept = others & torch.isin(labels, given.retain.targets)
    return torch.where(kept.any(1, keepdim=True), kept, others)


def drawn(allowed: Tensor, rng: torch.Generator) -> Tensor:
    """(n,) int64: for each line of (n, K) bool one allowed label, each as likely as the others."""
    return torch.multinomial(allowed.float().cpu(), 1, generator=rng)[:, 0].to(allowed.device)


# ---- how far -----------------------------------------------------------------------------------


def enough(model: nn.Module, given: Given) -> float:
    """The mean loss on the forget set, in nats, at which going up it has gone far enough.

    An image of a class that the retain set still has should be as strange as held-out images are
    to `model`; where there are none, ln 2: as likely taken for its class as not. Of a class that
    is gone, 2 ln K: the class gets 1 / K of what a guess would give it.
    """
    kept = torch.isin(given.forget.targets, given.retain.targets).double().mean().item()
    asked = kept > 0 and len(given.holdout) > 0
    usual = mean_loss(model, given.holdout, given.precision) if asked else log(2)
    return kept * usual + (1 - kept) * 2 * log(given.classes)


@torch.no_grad()
def mean_loss(model: nn.Module, samples: Samples, precision: str) -> float:
    """The mean cross-entropy, in evaluation mode."""
    total, kind = 0.0, dtype_of(model)
    with frozen(model):
        for images, labels in samples.batches(MEASURED):
            with autocast(images.device, precision):
                logits = model(images.to(kind))
            total += cross_entropy(full(logits), labels, reduction="sum").item()
    return total / len(samples)
