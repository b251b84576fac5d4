"""l1-sparse: finetuning on what is kept, under a penalty that lets unneeded weights fade."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from workers.finetuning import Finetuning
from workers.kinds import Given, Space, Steps
from workers.training import Moment

Schedule = Literal["decay", "growth", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class L1Sparse(Finetuning):
    """Finetunes on the retain set with an l1 penalty; for single samples and for classes.

    What only the forgotten images needed is no longer fed and fades away, while everything that
    the retain set needs is kept up. It sees the whole retain set and takes as long as finetuning.
    Approximate: the audit says how far it went.

    Source: Jia, Liu et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023,
    arXiv:2304.04934, equation 3. Ours: the choice of tensors, and the proximal step.
    """

    space: ClassVar[Space] = {"gamma": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)}

    gamma: Annotated[float, Ge(0)] = 1e-4
    """Weight of the penalty, gamma * |w| summed over all chosen weights."""
    penalty: Schedule = "decay"
    """gamma over the epochs t of T: `decay` gamma(1 - t/T), `growth` gamma t/T, or `constant`."""
    proximal: bool = False
    """Soft-threshold after each update instead of a sub-gradient before it: true zeros."""
    tensors: Literal["all", "weights", "convolutions"] = "all"
    """What is penalised: all parameters, those of two or more dimensions, or of four."""
    learning_rate: Annotated[float, Gt(0)] = 0.1
    schedule: Literal["constant", "cosine", "one_cycle"] = "cosine"
    """How the learning rate goes over the steps."""
    steps: Annotated[int, Ge(0)] = 400
    """At least so many updates: a small retain set is passed over more often."""
    batchnorm: Literal["train", "frozen", "recalibrate"] = "train"
    """What becomes of BatchNorm statistics: `train` lets every batch of retain images move them,
    `frozen` leaves them, `recalibrate` also estimates them anew at the end."""

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Finetune on the retain set."""
        before = None if self.proximal else self.push
        after = self.shrink if self.proximal else None
        yield from self.tune(model, given, self.batchnorm, before=before, after=after)

    def strength(self, epoch: int, epochs: int) -> float:
        """gamma of this epoch, counted from 0."""
        share = {"decay": 1 - epoch / epochs, "growth": epoch / epochs, "constant": 1.0}
        return self.gamma * share[self.penalty]

    def push(self, moment: Moment) -> None:
        """Add the sub-gradient gamma * sign(w) to the gradients."""
        weights = [weight for weight in self.chosen(moment) if weight.grad is not None]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        signs = torch._foreach_sign([weight.detach() for weight in weights])
        torch._foreach_add_(gradients, signs, alpha=self.strength(moment.epoch, moment.epochs))

    @torch.no_grad()
    def shrink(self, moment: Moment) -> None:
        """Soft-threshold by rate * gamma / (1 - momentum), what the sub-gradient comes to."""
        reach = moment.rate * self.strength(moment.epoch, moment.epochs) / (1 - self.momentum)
        for weight in self.chosen(moment):
            weight.copy_(torch.nn.functional.softshrink(weight, reach))

    def chosen(self, moment: Moment) -> list[Tensor]:
        """The parameters that are penalised."""
        least = {"all": 0, "weights": 2, "convolutions": 4}[self.tensors]
        return [weight for weight in moment.weights if weight.dim() >= least]
