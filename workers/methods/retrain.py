"""Retrain: the same recipe from scratch, on what is kept."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from workers.kinds import Given, Method, Steps
from workers.training import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain(Method):
    """Trains a new net by the recorded recipe on the retain set alone; exact, and the slowest.

    The result never saw the forget set: it is what every other method is measured against.

    Source: the definition of exact unlearning, Bourtoule et al., "Machine Unlearning", IEEE S&P
    2021, arXiv:1912.03817; the recipe is the original's, as Chen et al. (CVPR 2023) retrain.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"retain", "recipe"})
    exact: ClassVar[bool] = True

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Start over.

        Raises:
            ValueError: it is not known how the original was trained.
        """
        if given.recipe is None:
            raise ValueError("Retraining needs the recipe by which the original was trained.")
        seed = int(torch.randint(2**62, (), generator=given.rng))
        model.load_state_dict(given.fresh(seed).state_dict())
        yield from fit(
            model,
            given.retain,
            given.recipe,
            rng=given.rng,
            precision=given.precision,
            resume=given.resume,
        )
