"""Boundary Expanding: the forgotten images move into a class that is then taken away."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from workers.heads import head, narrow, widen
from workers.kinds import Given, Space, Steps
from workers.push import Push


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryExpanding(Push):
    """Teaches a shadow class on the forgotten images and prunes it away; the fastest method.

    The last linear layer, wherever it is, gets one output more. All weights (or the last layer
    alone) learn to send the forgotten images there, while retain images beside them keep their
    labels; then the output is cut off, and what is left spreads the forgotten images over the
    other classes. It is designed for whole classes. Approximate: the audit says how far it went.

    Source: Chen, Gao, Liu, Peng and Wang, "Boundary Unlearning", CVPR 2023, arXiv:2303.11570,
    section 3.3. Ours: retain images in the batches, which also set what BatchNorm normalises by; at
    the published settings most of the forgetting is drift of BatchNorm statistics.
    """

    designed_for: ClassVar[frozenset[str]] = frozenset({"class"})
    space: ClassVar[Space] = {"learning_rate": (0.003, 0.01, 0.03), "retain_share": (1.0, 3.0)}

    train: Literal["all", "head"] = "all"
    """What learns: every weight, or the last linear layer alone."""

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Widen, learn, prune."""
        layer = head(model, given.classes)[1]
        widen(layer, given.rng)
        shadow = torch.full_like(given.forget.index, given.classes)
        only = list(layer.parameters()) if self.train == "head" else None
        yield from self.push(model, given, shadow, only=only)
        narrow(layer, given.classes)
