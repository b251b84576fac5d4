"""SCRUB: a student leaves its teacher on the forgotten images and stays with it on the others."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from workers.batches import Batch, Feed
from workers.finetuning import Finetuning
from workers.kinds import RECALIBRATION, Cost, Given, Samples, Space, Steps
from workers.modes import BatchNorm, autocast, dtype_of, frozen, full
from workers.push import enough
from workers.training import Forward

ANSWERED = 500
"""Images that the teacher answers at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrub(Finetuning):
    """Distils the original net, away from it on the forget set and towards it on the retain set.

    Epochs begin with a pass over the forget set that leaves the teacher, for the first
    `forget_epochs` of them, and all have a pass over the retain set that returns to teacher and
    labels. For single samples and for classes. It sees the whole retain set in each epoch.
    Approximate: the audit says how far it went.

    Source: Kurmanji, Triantafillou, Hayes and Triantafillou, "Towards Unbounded Machine
    Unlearning", NeurIPS 2023, arXiv:2302.09880, section 3, equation 3 and algorithm 1. Ours:
    BatchNorm normalises by retain images alone, and leaving ends where it is enough. There is no
    rewinding (SCRUB+R).
    """

    space: ClassVar[Space] = {"learning_rate": (0.003, 0.01, 0.03), "alpha": (0.1, 0.5)}

    epochs: Annotated[int, Ge(1)] = 5
    """Passes over the retain set."""
    forget_epochs: Annotated[int, Ge(1)] = 2
    """Epochs, from the first, that also have a pass over the forget set (`msteps`)."""
    temperature: Annotated[float, Gt(0)] = 4.0
    """T: logits are divided by it before they are compared, and the comparison counts T^2."""
    alpha: Annotated[float, Ge(0)] = 0.5
    """How much the teacher counts on the retain set."""
    gamma: Annotated[float, Ge(0)] = 1.0
    """How much the labels count on the retain set."""
    stop_loss: Annotated[float, Gt(0)] | None = None
    """Mean cross-entropy of a batch of forget images, in nats, beyond which it leaves no further.
    null: twice what held-out images have, or 2 ln 2 without any; for a class of which nothing is
    retained, 4 ln K with K classes. Passes over the retain set bring some of it back."""
    batchnorm: BatchNorm = "retain"
    """BatchNorm statistics. `retain`: retain images are normalised by their batch, forgotten ones
    by the original's statistics, and at the end they are estimated anew on retain images.
    `frozen`: the original's. `train`: every batch moves them (the published code).
    `recalibrate`: likewise, and estimated anew at the end."""

    @classmethod
    def cost(cls) -> Cost:
        """Epochs over the retain set, the first few over the forget set; the teacher's answers.

        And every unseen image is asked what is usual.
        """
        batches = "(ceil(forget / batch_size) + ceil(retain / batch_size))"
        passes = f"max(epochs, ceil(steps / max(1, {batches})))"
        return Cost(
            trained=f"{passes} * retain + min({passes}, forget_epochs) * forget",
            forwards=f"forget + retain + min(retain, {RECALIBRATION}) + unseen",
            batch="batch_size",
        )

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Leave and return by turns."""
        stop = self.stop_loss or 2 * enough(model, given)
        sets = (given.forget, given.retain)
        forget, retain = (answers(model, samples, given.precision) for samples in sets)
        feed = Feed(
            main=given.forget,
            beside=given.retain,
            share=len(given.retain) / len(given.forget),
            apart=True,
            rounds=self.forget_epochs,
        )

        def loss(forward: Forward, batch: Batch) -> Tensor:
            wanted = torch.cat([forget[batch.which], retain[batch.beside]])
            return self.loss(forward(batch.images), wanted, batch, stop)

        yield from self.tune(model, given, self.batchnorm, feed, loss=loss)

    def loss(self, logits: Tensor, wanted: Tensor, batch: Batch, stop: float) -> Tensor:
        """-KL on forgotten images while CE < `stop`, alpha * KL + gamma * CE on retained ones."""
        gap = distance(logits, wanted, self.temperature)
        own = cross_entropy(logits, batch.labels)
        if len(batch.which):
            return -gap * (own.detach() < stop)
        return self.alpha * gap + self.gamma * own


@torch.no_grad()
def answers(model: nn.Module, samples: Samples, precision: str) -> Tensor:
    """(n, K): the teacher's logits, in evaluation mode; it never changes, so once is enough."""
    found, kind = [], dtype_of(model)
    with frozen(model):
        for images, _ in samples.batches(ANSWERED):
            with autocast(images.device, precision):
                found.append(full(model(images.to(kind))))
    return torch.cat(found)


def distance(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) * T^2, the mean over (B, K) logits of both."""
    mine, theirs = (log_softmax(each / temperature, dim=1) for each in (logits, wanted))
    return kl_div(mine, theirs, reduction="batchmean", log_target=True) * temperature**2
