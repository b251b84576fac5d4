"""SynFlow: which weights carry signal is asked of a new net, without a single image."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from workers.kinds import Given, Steps
from workers.modes import norms
from workers.normalised import Normalised
from workers.sparsity import Masks, Pruner, hold, largest, open_masks, weights
from workers.training import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Synflow(Pruner):
    """Chooses the masks on a new, untrained net without looking at data, and trains it sparse.

    The masks cannot tell anything of anybody's images. The net starts over: nothing of the
    model's weights is left, and it takes one training by the recipe.

    Source: Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by
    iteratively conserving synaptic flow", NeurIPS 2020, arXiv:2006.05467, algorithm 1. Scores are
    taken in float64; BatchNorm and the normalisation in front let the signal through unchanged.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"retain", "recipe"})
    exact: ClassVar[bool] = True

    rounds: Annotated[int, Ge(1)] = 100
    """How often the scores are asked; after round r of R the share (1 - sparsity)^(r/R) is left."""

    def prune(self, model: nn.Module, given: Given) -> Steps:
        """Choose, then train.

        Raises:
            ValueError: it is not known how the original was trained.
        """
        if given.recipe is None:
            raise ValueError("SynFlow trains the sparse net anew and needs the recipe.")
        seed = int(torch.randint(2**62, (), generator=given.rng))
        model.load_state_dict(given.fresh(seed).state_dict())
        hold(model, self.masks(model, given.retain.pixels.shape))
        yield from fit(
            model,
            self.learned(given),
            given.recipe,
            rng=given.rng,
            precision=given.precision,
            resume=given.resume,
        )

    def masks(self, model: nn.Module, shape: tuple[int, int, int]) -> Masks:
        """The masks of the last round, for images of this (height, width, channels)."""
        dense = linear(model)
        found = open_masks(dense, self.tensors)
        for number in range(1, self.rounds + 1):
            net = hold(deepcopy(dense), found)
            left = (1 - self.sparsity) ** (number / self.rounds)
            found = largest(scores(net, shape, found), 1 - left)
        kinds = weights(model, self.tensors)
        return {name: mask.to(kinds[name]) for name, mask in found.items()}


@torch.no_grad()
def linear(model: nn.Module) -> nn.Module:
    """A copy in float64 in which signals only add up.

    Every parameter is its absolute value; BatchNorm and normalisation do nothing.
    """
    net = deepcopy(model).double().eval()
    for layer in norms(net):
        layer.reset_parameters()  # mean 0, variance 1, weight 1, bias 0
        layer.eps = 0.0
    for part in net.modules():
        if isinstance(part, Normalised):
            part.mean.zero_()
            part.std.fill_(1)
    for weight in net.parameters():
        weight.abs_()
    return net


def scores(net: nn.Module, shape: tuple[int, int, int], held: Masks) -> dict[str, Tensor]:
    """|dR/dw * w| of each masked weight, R the sum of the outputs for an image of ones.

    Where a mask has closed already it is -1.
    """
    height, width, channels = shape
    device = next(net.parameters()).device
    ones = torch.ones(1, channels, height, width, dtype=torch.float64, device=device)
    originals = [net.get_submodule(name).get_parameter("weight_orig") for name in held]
    slopes = torch.autograd.grad(net(ones).sum(), originals)
    return {
        name: (slope * weight.detach()).abs().where(mask > 0, -1.0)
        for (name, mask), weight, slope in zip(held.items(), originals, slopes, strict=True)
    }
