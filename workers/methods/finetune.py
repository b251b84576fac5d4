"""Finetune: go on training on what is kept, and let the rest fade."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from workers.finetuning import Finetuning
from workers.kinds import Given, Space, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune(Finetuning):
    """Goes on training on the retain set alone, and hopes; the baseline of baselines.

    Nothing pushes the forgotten images away: what the net knew of them fades as far as learning
    the others overwrites it, which is little at a small learning rate, and costs accuracy at a
    large one. For single samples and for classes. Approximate: the audit says how far it went.

    Source: Golatkar, Achille and Soatto, "Eternal Sunshine of the Spotless Net", CVPR 2020,
    arXiv:1911.04933, and Jia, Liu et al., NeurIPS 2023, arXiv:2304.04934, section 2: the minimum
    of L(theta; D_r), begun at the original. Ours: BatchNorm and the schedule are parameters.
    """

    space: ClassVar[Space] = {
        "learning_rate": (0.003, 0.01, 0.03, 0.1),
        "schedule": ("constant", "cosine"),
    }

    batchnorm: Literal["train", "frozen", "recalibrate"] = "train"
    """What becomes of BatchNorm statistics: `train` lets every batch of retain images move them,
    `frozen` leaves them, `recalibrate` also estimates them anew at the end."""

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Finetune on the retain set."""
        yield from self.tune(model, given, self.batchnorm)
