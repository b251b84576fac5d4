"""Boundary Shrink: every forgotten image learns the label of its nearest other class."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy

from workers.batches import Batch
from workers.kinds import Cost, Given, Space, State, Steps
from workers.modes import dtype_of, frozen
from workers.neighbours import SEARCHED, Search, nearest
from workers.push import Push, elsewhere
from workers.training import Forward, Loss, learn


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryShrink(Push):
    """Relabels each forgotten image with its nearest wrong class and learns that; thorough.

    One step against the original net, `epsilon` wide in every pixel, finds the class across the
    nearest boundary (never the image's own). The net then learns those labels, so that the region
    of the forgotten class falls to its neighbours, while retain images beside them keep theirs. It
    is designed for whole classes. Approximate: the audit says how far it went.

    Source: Chen, Gao, Liu, Peng and Wang, "Boundary Unlearning", CVPR 2023, arXiv:2303.11570,
    section 3.2; the step is FGSM (Goodfellow et al. 2015), or PGD (Madry et al. 2018). The variants
    are those of the published code; the curvature is that of CURE (Moosavi-Dezfooli et al. 2019).
    Ours: true pixel units, labels searched once, the true label and other forgotten classes left
    out, weights of mean 1, and retain images in the batches, which also set what BatchNorm
    normalises by; at the published settings most of the forgetting is drift of its statistics.
    """

    designed_for: ClassVar[frozenset[str]] = frozenset({"class"})
    space: ClassVar[Space] = {"learning_rate": (0.003, 0.01, 0.03), "retain_share": (2.0, 4.0)}

    epochs: Annotated[int, Ge(1)] = 2
    """Passes over the forget set."""
    retain_share: Annotated[float, Ge(0)] = 2.0
    """Retain images in a batch, as a share of `batch_size`; 0 uses the forget set only. Twice as
    many hold the classes that the forgotten images are pushed into."""
    search: Literal["fgsm", "pgd", "second_logit"] = "fgsm"
    """How the neighbour is found: one signed step up the loss, several small ones, or none at all:
    the largest other logit of the image itself."""
    epsilon: Annotated[float, Gt(0), Le(1)] = 0.1
    """How far the search moves each pixel, of the range [0, 1]."""
    search_step: Annotated[float, Gt(0), Le(1)] = 0.03
    """Of `pgd`: how far one step goes."""
    search_steps: Annotated[int, Ge(1)] = 5
    """Of `pgd`: how many there are."""
    random_start: bool = False
    """Of `pgd`: begin at a random place within `epsilon`."""
    variant: Literal["plain", "curvature", "reweighted"] = "plain"
    """`curvature` keeps the loss as curved around each forgotten image as it was; `reweighted`
    lets images count more that lie between two neighbours."""
    curvature_weight: Annotated[float, Ge(0)] = 0.011
    """Of `curvature`: lambda, how much the change of curvature counts. The published 0.7 goes with
    a loss that is averaged over batches of 64; here each image has its own: 0.7 / 64."""
    curvature_reach: Annotated[float, Gt(0)] = 0.9
    """Of `curvature`: h, the length of the step over which it is measured."""
    sharpness: Annotated[float, Ge(0)] = 5.0
    """Of `reweighted`: t in w = sigmoid(t (m - c)), with m in [-1, 0] the runner-up's probability
    less the neighbour's; the weights are then scaled to a mean of 1."""
    centre: Annotated[float, Ge(-1), Le(1)] = -0.5
    """Of `reweighted`: c, where a weight is halfway."""

    @classmethod
    def cost(cls) -> Cost:
        """The search takes a gradient of each image, and one look at where it leads."""
        pushed = super(BoundaryShrink, cls).cost()
        return replace(pushed, forwards=f"{pushed.forwards} + 3 * forget")

    def prepare(self, model: nn.Module, given: Given) -> State:
        """Search the neighbours, and what the variant needs to know of each image."""
        search = Search(
            by=self.search,
            epsilon=self.epsilon,
            step=self.search_step,
            iterations=self.search_steps,
            random_start=self.random_start,
            precision=given.precision,
        )
        logits = torch.cat([*search.logits(model, given.forget, given.rng)])
        neighbours, margins = nearest(logits, elsewhere(given))
        flipped = (logits.argmax(1) != given.forget.targets).double().mean().item()
        found: State = {"neighbours": neighbours, "flipped": flipped}
        if self.variant == "reweighted":
            weights = (self.sharpness * (margins - self.centre)).sigmoid()
            found["weights"] = weights / weights.mean()
        if self.variant == "curvature":
            found["bends"] = self.bends(model, given)
        return found

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Search once, then learn."""
        found = given.prepared or self.prepare(model, given)
        known = {name: value for name, value in found.items() if isinstance(value, Tensor)}
        losses: dict[str, Loss] = {
            "plain": learn,
            "reweighted": lambda forward, batch: weighted(forward, batch, known["weights"]),
            "curvature": lambda forward, batch: self.kept_curved(forward, batch, given, known),
        }
        # Differences of gradients drown in the noise of bfloat16.
        exact = replace(given, precision="fp32") if self.variant == "curvature" else given
        yield from self.push(model, exact, known["neighbours"], loss=losses[self.variant])

    def bends(self, model: nn.Module, given: Given) -> Tensor:
        """(n,): how curved the loss of the base model is around each forgotten image."""
        found, kind = [], dtype_of(model)
        with frozen(model):
            for images, labels in given.forget.batches(SEARCHED):
                found.append(bend(model, images.to(kind), labels, self.curvature_reach).detach())
        return torch.cat(found)

    def kept_curved(
        self, forward: Forward, batch: Batch, given: Given, known: dict[str, Tensor]
    ) -> Tensor:
        """CE(f(x), neighbour) + lambda * |r(f) - r(base)|, the norm over the batch."""
        labels = given.forget.targets[batch.which]
        now = bend(forward, batch.images, labels, self.curvature_reach, learning=True)
        change: Tensor = vector_norm(now - known["bends"][batch.which])
        return learn(forward, batch) + self.curvature_weight * change


def weighted(forward: Forward, batch: Batch, weights: Tensor) -> Tensor:
    """The mean over a batch of w * CE, where each retain image has a weight of 1."""
    losses = cross_entropy(forward(batch.images), batch.labels, reduction="none")
    mine = len(batch.which)
    return torch.cat([weights[batch.which] * losses[:mine], losses[mine:]]).mean()


def bend(
    forward: Forward, images: Tensor, labels: Tensor, reach: float, *, learning: bool = False
) -> Tensor:
    """(m,): |grad CE(f(x + z), y) - grad CE(f(x), y)| of the first m images, labels (m,).

    The gradients are those by x; z = reach * sign(g) / |sign(g)| with g = grad CE(f(x), y).

    Args:
        learning: the result can be differentiated by the weights.
    """
    here = slope(forward, images, labels, learning=learning)
    signs = here.detach().sign().flatten(1)
    steps = reach * signs / vector_norm(signs, dim=1, keepdim=True).clamp(min=1)
    mine = len(labels)
    there = torch.cat([images[:mine] + steps.view_as(here), images[mine:]])
    change = slope(forward, there, labels, learning=learning) - here
    found: Tensor = vector_norm(change.flatten(1), dim=1)
    return found


def slope(forward: Forward, images: Tensor, labels: Tensor, *, learning: bool) -> Tensor:
    """(m, C, H, W): the gradient of each one's own cross-entropy by its pixels."""
    images = images.detach().requires_grad_()
    loss = cross_entropy(forward(images)[: len(labels)], labels, reduction="sum")
    (found,) = torch.autograd.grad(loss, images, create_graph=learning)
    return found[: len(labels)]
