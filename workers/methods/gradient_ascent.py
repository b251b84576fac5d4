"""Gradient ascent: up the loss of the forgotten images, and not too far."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from workers.batches import Batch, Feed
from workers.kinds import Cost, Given, Method, Recipe, Space, Steps
from workers.modes import settle
from workers.push import enough
from workers.training import Forward, learn, loop


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientAscent(Method):
    """Climbs the loss of the forget set until it is as strange as unseen images; cheap, and rough.

    It sees the forget set alone: nothing holds the other classes, and since the loss has no top,
    going on ends in a net that knows nothing. So it stops at the first batch whose loss has come
    far enough. For single samples and for classes; good for little, kept as a baseline.
    Approximate: the audit says how far it went.

    Source: Thudi et al., "Unrolling SGD", EuroS&P 2022, arXiv:2109.13398; "negative gradient" of
    Golatkar et al., CVPR 2020, arXiv:1911.04933: theta + rate * grad CE(theta; D_f). Ours: the
    stop, and BatchNorm statistics that stay.
    """

    space: ClassVar[Space] = {"learning_rate": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)}

    learning_rate: Annotated[float, Gt(0)] = 1e-4
    epochs: Annotated[int, Ge(1)] = 5
    """Passes over the forget set, at the most."""
    steps: Annotated[int, Ge(0)] = 200
    """At least so many updates before it gives up: a small forget set is passed over more often."""
    batch_size: Annotated[int, Ge(1)] = 64
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 0.0
    stop_loss: Annotated[float, Gt(0)] | None = None
    """Mean cross-entropy of a batch, in nats, at which it stops. null: what held-out images have,
    or ln 2 without any; for a class of which nothing is retained, 2 ln K with K classes."""
    batchnorm: Literal["frozen", "train", "recalibrate"] = "frozen"
    """BatchNorm statistics. `frozen`: the original's. `train`: every batch of forgotten images
    moves them (the published code). `recalibrate`: likewise, and estimated anew at the end."""

    @classmethod
    def cost(cls) -> Cost:
        """At the most: no batch comes far enough, and every unseen image is asked what is usual."""
        climb = super(GradientAscent, cls).cost()
        return replace(climb, forwards=f"{climb.forwards} + unseen")

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Climb until it is enough."""
        stop = self.stop_loss or enough(model, given)
        feed = Feed(main=given.forget)
        recipe = Recipe(
            epochs=max(self.epochs, ceil(self.steps / feed.steps(self.batch_size))),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
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
            loss=upwards,
            until=lambda loss: -loss.item() >= stop,
        )
        settle(model, self.batchnorm, given.retain, given.rng, given.precision)


def upwards(forward: Forward, batch: Batch) -> Tensor:
    """What falls as the cross-entropy climbs."""
    return -learn(forward, batch)
