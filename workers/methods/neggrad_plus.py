"""NegGrad+: up the loss of the forgotten images, down that of the retained ones."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.batches import Batch
from workers.kinds import Cost, Given, Space, Steps
from workers.push import Push, enough
from workers.training import Forward


@dataclass(frozen=True, slots=True, kw_only=True)
class NeggradPlus(Push):
    """Climbs the loss of the forget set while it descends that of retain images beside it.

    What gradient ascent tears down, the retain images hold up. Since the loss of the forget set
    has no top, a batch that has come far enough pulls no further. For single samples and for
    classes. Approximate: the audit says how far it went.

    Source: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023,
    arXiv:2302.09880, section 4 (NegGrad+): alpha * CE(D_r) - (1 - alpha) * CE(D_f). Ours: the
    ceiling on the second term, and that BatchNorm normalises by retain images.
    """

    space: ClassVar[Space] = {"learning_rate": (0.01, 0.03, 0.1), "alpha": (0.8, 0.95)}

    learning_rate: Annotated[float, Gt(0)] = 0.03
    epochs: Annotated[int, Ge(1)] = 2
    """Passes over the forget set."""
    steps: Annotated[int, Ge(0)] = 240
    """At least so many updates: where the net is sure of an image, the climb begins slowly."""
    retain_share: Annotated[float, Ge(0)] = 3.0
    """Retain images in a batch, as a share of `batch_size`; 0 uses the forget set only."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.8
    """How much the retain images count; the forgotten ones count 1 - alpha."""
    stop_loss: Annotated[float, Gt(0)] | None = None
    """Mean cross-entropy of the forget images of a batch, in nats, above which they pull no more.
    null: what held-out images have, or ln 2 without any; for a class of which nothing is retained,
    2 ln K with K classes."""

    @classmethod
    def cost(cls) -> Cost:
        """As a push, once every unseen image has been asked what is usual."""
        pushed = super(NeggradPlus, cls).cost()
        return replace(pushed, forwards=f"{pushed.forwards} + unseen")

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Climb and descend."""
        stop = self.stop_loss or enough(model, given)

        def loss(forward: Forward, batch: Batch) -> Tensor:
            """alpha * CE(D_r) - (1 - alpha) * min(CE(D_f), stop)."""
            losses = cross_entropy(forward(batch.images), batch.labels, reduction="none")
            mine, theirs = losses.tensor_split([len(batch.which)])
            climbed = (1 - self.alpha) * mine.mean().clamp(max=stop)
            return self.alpha * theirs.sum() / max(len(theirs), 1) - climbed

        yield from self.push(model, given, loss=loss)
