"""Going on with training on the retain set: what finetuning and its kin share."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Lt
from torch import nn

from workers.batches import Feed
from workers.kinds import Given, Method, Recipe, Steps
from workers.modes import BatchNorm, settle
from workers.training import Loss, Moment, learn, loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuning(Method):
    """The net goes on learning the retain set, and methods add what makes it forget."""

    needs: ClassVar[frozenset[str]] = frozenset({"retain"})

    learning_rate: Annotated[float, Gt(0)] = 0.01
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    """How the learning rate goes over the steps."""
    epochs: Annotated[int, Ge(1)] = 5
    """Passes over the retain set."""
    steps: Annotated[int, Ge(0)] = 0
    """At least so many updates: a small retain set is passed over more often."""
    batch_size: Annotated[int, Ge(1)] = 128
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 5e-4

    def tune(
        self,
        model: nn.Module,
        given: Given,
        batchnorm: BatchNorm,
        feed: Feed | None = None,
        *,
        loss: Loss = learn,
        before: Callable[[Moment], None] | None = None,
        after: Callable[[Moment], None] | None = None,
    ) -> Steps:
        """Learn the retain set, or what `feed` shows; see `loop`."""
        shown = feed or Feed(main=given.retain)
        recipe = Recipe(
            epochs=max(self.epochs, ceil(self.steps / shown.steps(self.batch_size))),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
        )
        yield from loop(
            model,
            shown,
            recipe,
            rng=given.rng,
            precision=given.precision,
            resume=given.resume,
            batchnorm=batchnorm,
            loss=loss,
            before=before,
            after=after,
        )
        settle(model, batchnorm, given.retain, given.rng, given.precision)
