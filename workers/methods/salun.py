"""SalUn: random labels, learned only by the weights that the forgotten images matter to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.batches import Batch
from workers.kinds import Given, Space, Steps
from workers.modes import autocast, dtype_of, frozen, full
from workers.push import Push, drawn, elsewhere
from workers.training import Forward, Moment

MEASURED = 256
"""Images whose gradient is taken at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salun(Push):
    """Relabels forgotten images at random, and lets only salient weights learn that.

    A weight is salient if the loss of the forget set, by the original net, has a steep slope along
    it; all others end bit for bit as they were. Retain images beside the forgotten ones keep
    their labels. For single samples and for classes. Approximate: the audit says how far it went.

    Source: Fan et al., "SalUn", ICLR 2024, arXiv:2310.12508, equations 3 to 5. Ours: the sum of
    the paper in place of passes by turns, other forgotten classes are not drawn, no weight decay
    or momentum reaches a weight that is to stay, and BatchNorm normalises by retain images.
    """

    space: ClassVar[Space] = {"learning_rate": (0.003, 0.01, 0.03), "salient": (0.3, 0.5)}

    epochs: Annotated[int, Ge(1)] = 2
    """Passes over the forget set."""
    salient: Annotated[float, Gt(0), Le(1)] = 0.5
    """Share of all weights that may change: those with the steepest slopes."""
    retain_share: Annotated[float, Ge(0)] = 3.0
    """Retain images in a batch, as a share of `batch_size`; 0 uses the forget set only."""
    alpha: Annotated[float, Ge(0)] = 3.0
    """How much the retain images count: CE(D_f, random labels) + alpha * CE(D_r); the authors
    take 1."""

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Choose the weights, draw labels, learn."""
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        chosen = steepest(slopes(model, given, weights), self.salient)
        targets = drawn(elsewhere(given), given.rng)
        restore = restorer(weights, chosen)
        yield from self.push(model, given, targets, loss=self.loss, after=restore)

    def loss(self, forward: Forward, batch: Batch) -> Tensor:
        """CE of the forgotten images and alpha times CE of the retained, each a mean."""
        losses = cross_entropy(forward(batch.images), batch.labels, reduction="none")
        mine, theirs = losses.tensor_split([len(batch.which)])
        return mine.mean() + self.alpha * theirs.sum() / max(len(theirs), 1)


def slopes(model: nn.Module, given: Given, weights: Sequence[nn.Parameter]) -> list[Tensor]:
    """|grad CE(theta; D_f)| by each weight, over the whole forget set, in evaluation mode."""
    totals, kind = [torch.zeros_like(weight) for weight in weights], dtype_of(model)
    with frozen(model):
        for weight in weights:
            weight.requires_grad_()
        for images, labels in given.forget.batches(MEASURED):
            with autocast(images.device, given.precision):
                logits = model(images.to(kind))
            loss = cross_entropy(full(logits), labels, reduction="sum")
            found = torch.autograd.grad(loss, weights, materialize_grads=True)
            torch._foreach_add_(totals, found)
    return [total.abs() for total in totals]


def steepest(slopes: Sequence[Tensor], share: float) -> list[Tensor]:
    """Masks of the largest `share` of all entries together; at least one, and ties are in."""
    everything = torch.cat([slope.flatten() for slope in slopes])
    kept = max(1, round(share * len(everything)))
    least = everything.kthvalue(len(everything) - kept + 1).values
    return [slope >= least for slope in slopes]


def restorer(weights: Sequence[nn.Parameter], chosen: Sequence[Tensor]) -> Callable[[Moment], None]:
    """What, after each update, puts back every weight that was not chosen."""
    originals = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def restore(moment: Moment) -> None:
        for weight, mask, original in zip(moment.weights, chosen, originals, strict=True):
            weight.copy_(torch.where(mask, weight, original))

    return restore
