"""Iterative magnitude pruning: train, drop the smallest weights, rewind, and over again."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from workers.batches import Feed
from workers.kinds import Given, Recipe, State, Step, Steps
from workers.sparsity import MASK, ORIGINAL, Pruner, hold, largest, open_masks, weights
from workers.stages import inside, keeping, part
from workers.training import loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Imp(Pruner):
    """Trains a new net over and over, each time without the smallest weights of the time before.

    After each training some of the weights that are left go, the others return to what they were
    early in the first, and learn again. It takes `rounds` + 1 trainings by the recipe; nothing of
    the model's own weights is left.

    Source: Frankle, Dziugaite, Roy and Carbin, "Linear Mode Connectivity and the Lottery Ticket
    Hypothesis", ICML 2020, arXiv:1912.05671, algorithm 2; a fifth of the weights a round, as
    published, comes to 14 rounds for 95%.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"retain", "recipe"})

    rounds: Annotated[int, Ge(1)] = 3
    """Round r of R leaves the share (1 - sparsity)^(r/R)."""
    rewind: Annotated[int, Ge(0)] = 1
    """After how many epochs of the first training the weights are kept to return to."""

    def prune(self, model: nn.Module, given: Given) -> Steps:
        """Train, cut and rewind.

        Raises:
            ValueError: it is not known how the original was trained, or it had no more epochs
                than `rewind`.
        """
        recipe = self.recipe(given)
        feed = Feed(main=self.learned(given), augment=recipe.augment)
        seed = int(torch.randint(2**62, (), generator=given.rng))
        model.load_state_dict(given.fresh(seed).state_dict())
        hold(model, open_masks(model, self.tensors))
        early = part(given.resume, "early") or _beginning(model, given.rng)
        now, begun = part(given.resume, "now"), int((given.resume or {}).get("round", 0))
        for number in range(begun, self.rounds + 1):
            if number and now is None:
                now = self.rewound(early, model, number)
            steps = loop(
                model, feed, recipe, rng=given.rng, precision=given.precision, resume=now
            )  # fmt: skip
            for step in steps:
                if not number and step.epoch == self.rewind and step.state is not None:
                    early = step.state()
                beside = {"round": number, **inside("early", early)}
                yield self.counted(keeping(step, "now", beside), number, recipe)
            now = None

    def counted(self, step: Step, number: int, recipe: Recipe) -> Step:
        """A step of one round as a step of the whole; later rounds begin after `rewind` epochs."""
        later = recipe.epochs - self.rewind
        ahead = number * later
        per_epoch = step.total // recipe.epochs
        return replace(
            step,
            done=step.done + ahead * per_epoch,
            total=step.total + self.rounds * later * per_epoch,
            epoch=step.epoch + ahead,
            epochs=step.epochs + self.rounds * later,
        )

    def recipe(self, given: Given) -> Recipe:
        """How each round is trained. Raises `ValueError`."""
        if given.recipe is None:
            raise ValueError("IMP trains the net again and again and needs the recipe.")
        if self.rewind >= given.recipe.epochs:
            raise ValueError(
                f"The recipe has {given.recipe.epochs} epochs: choose `rewind` below that."
            )
        return given.recipe

    def rewound(self, early: State, model: nn.Module, number: int) -> State:
        """The early state without the weights that are the smallest now."""
        sizes = {name: weight.abs() for name, weight in weights(model, self.tensors).items()}
        left = (1 - self.sparsity) ** (number / self.rounds)
        state = {key: value for key, value in early.items() if not key.startswith("momentum.")}
        for name, mask in largest(sizes, 1 - left).items():
            weight = f"model.{name}.weight"
            state[weight + ORIGINAL] = state[weight + ORIGINAL] * mask
            state[weight + MASK] = mask
        return state


def _beginning(model: nn.Module, rng: torch.Generator) -> State:
    """Before the first step, as the loop would have saved it."""
    weights: dict[str, Tensor] = {
        key: value.detach().clone() for key, value in model.state_dict().items()
    }
    return {"epoch": 0, "rng": rng.get_state(), **inside("model", {**weights})}
