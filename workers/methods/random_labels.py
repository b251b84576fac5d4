"""Random labels: every forgotten image learns a label drawn at random."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from workers.batches import Targets
from workers.kinds import Given, Space, Steps
from workers.push import Push, drawn, elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomLabels(Push):
    """Teaches each forgotten image a label drawn at random, retain images beside it their own.

    For single samples and for classes. The four choices that published versions differ in are
    parameters: whether the true label may be drawn, how often labels are drawn, how many retain
    images there are, and whether they share batches. It tends to forget too much: a net that has
    unlearned by random labels is less sure of the forgotten images than one that never saw them,
    which is itself a trace. Approximate: the audit says how far it went.

    Source: Golatkar, Achille and Soatto, CVPR 2020, arXiv:1911.04933, section 5 (random labels);
    Hayase, Yasutomi and Katoh 2020, arXiv:2012.11849: the minimum of CE(f(x), y') with y' uniform.
    Ours: other forgotten classes are not drawn, and BatchNorm normalises by retain images.
    """

    space: ClassVar[Space] = {"learning_rate": (0.003, 0.01, 0.03), "retain_share": (3.0, 6.0)}

    epochs: Annotated[int, Ge(1)] = 2
    """Passes over the forget set."""
    retain_share: Annotated[float, Ge(0)] = 3.0
    """Retain images in a batch, as a share of `batch_size`; 0 uses the forget set only."""
    true_label: bool = False
    """May an image draw its own label?"""
    redraw: bool = False
    """Draw anew at every pass, in place of once for all."""
    order: Literal["mixed", "forget_first"] = "mixed"
    """`mixed`: each batch holds both sets. `forget_first`: each epoch is a pass over the forget set
    and then one over as many batches of retain images; `retain_share` says how many."""

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Draw, then learn."""
        allowed = elsewhere(given)
        if self.true_label:
            allowed[torch.arange(len(allowed)), given.forget.targets] = True

        def draw(rng: torch.Generator) -> Tensor:
            return drawn(allowed, rng)

        targets: Targets = draw if self.redraw else draw(given.rng)
        yield from self.push(model, given, targets, apart=self.order == "forget_first")
