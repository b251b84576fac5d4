"""Selective synaptic dampening: weights that matter mostly to the forgotten images are shrunk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from workers.kinds import Cost, Given, Method, Samples, Space, State, Step, Steps
from workers.modes import dtype_of

KINDS = ("forget", "retain")
AT_ONCE = 2**24
"""Numbers in the gradients that are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssd(Method):
    """Shrinks, once, the weights that matter far more to the forget set than to all the data.

    Nothing is trained. One look at every image, forgotten and retained, says how much each weight
    matters to it; then those beyond `alpha` are multiplied by less than one. For a few samples, and
    for classes where there are many. Approximate, and it varies much from class to class: the audit
    says how far it went.

    Source: Foster, Schoepf and Brintrup, "Fast Machine Unlearning without Retraining through
    Selective Synaptic Dampening", AAAI 2024, arXiv:2308.07707, equations 5 and 6. Ours: gradients
    of single images, not of batches, and the default of `alpha`.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    space: ClassVar[Space] = {"alpha": (1.5, 2.0, 3.0, 5.0, 10.0)}

    alpha: Annotated[float, Gt(0)] | None = None
    """How much more a weight must matter to the forget set than to all data, to be shrunk. null:
    half of what is possible at all, |D| / (2 |D_f|), and at most 10."""
    dampening: Annotated[float, Gt(0), Le(1)] = 1.0
    """lambda: the weight is multiplied by lambda * importance on all / importance on forgotten."""

    @classmethod
    def cost(cls) -> Cost:
        """The gradient of each image, once."""
        return Cost(trained="forget + retain")

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Weigh, then dampen."""
        model.eval()
        weights = {name: w for name, w in model.named_parameters() if w.requires_grad}
        sums = {kind: [torch.zeros_like(w) for w in weights.values()] for kind in KINDS}
        begun = restored(sums, given.resume) if given.resume is not None else 0
        size = max(1, AT_ONCE // sum(weight.numel() for weight in weights.values()))
        parts = [(kind, part) for kind in KINDS for part in cut(getattr(given, kind), size)]
        for done, (kind, part) in enumerate(parts[begun:], begun + 1):
            torch._foreach_add_(sums[kind], squares(model, weights, part))
            yield Step(done=done, total=len(parts), state=saver(sums, done))
        self.dampen([*weights.values()], sums, len(given.forget), len(given.retain))

    @torch.no_grad()
    def dampen(
        self,
        weights: Sequence[Tensor],
        sums: Mapping[str, Sequence[Tensor]],
        forget: int,
        retain: int,
    ) -> None:
        """theta = min(lambda * I_D / I_Df, 1) * theta where I_Df > alpha * I_D."""
        everything = forget + retain
        alpha = self.alpha or min(10.0, everything / (2 * forget))
        for weight, mine, theirs in zip(weights, sums["forget"], sums["retain"], strict=True):
            gone, all_ = mine / forget, (mine + theirs) / everything
            share = (self.dampening * all_ / gone).clamp(max=1)
            weight.copy_(torch.where(gone > alpha * all_, share * weight, weight))


def squares(
    model: nn.Module, weights: Mapping[str, Tensor], samples: Samples
) -> tuple[Tensor, ...]:
    """By each weight, the sum over samples of the squared gradient of each one's own loss.

    `model` is in evaluation mode; nothing is computed in bfloat16, whose squares are too coarse.
    """
    images, labels = samples.at(torch.arange(len(samples), device=samples.index.device))

    def loss(weights: Mapping[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, dict(weights), (image[None],))
        return cross_entropy(logits, label[None])

    fixed = {name: weight.detach() for name, weight in weights.items()}
    found = vmap(grad(loss), (None, 0, 0))(fixed, images.to(dtype_of(model)), labels)
    return tuple(found[name].square().sum(0) for name in weights)


def cut(samples: Samples, size: int) -> Iterator[Samples]:
    """`size` at a time, in order; none of none."""
    for which in torch.arange(len(samples), device=samples.index.device).split(size):
        if len(which):
            yield samples.take(which)


def saver(sums: Mapping[str, Sequence[Tensor]], done: int) -> Callable[[], State]:
    """What gives the state after `done` parts."""

    def save() -> State:
        state: State = {"done": done}
        for kind, tensors in sums.items():
            state |= {f"{kind}.{number}": each.clone() for number, each in enumerate(tensors)}
        return state

    return save


def restored(sums: Mapping[str, Sequence[Tensor]], state: State) -> int:
    """Put the sums back as they were; how many parts are done."""
    for kind, tensors in sums.items():
        for number, each in enumerate(tensors):
            each.copy_(torch.as_tensor(state[f"{kind}.{number}"]))
    return int(state["done"])
