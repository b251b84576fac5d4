"""Amnesiac unlearning: the updates that saw the forget set are taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from workers.batches import Feed
from workers.kinds import Given, Method, Recipe, Space, Steps
from workers.training import loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Amnesiac(Method):
    """Takes back every update of the training whose batch held a forgotten image, and repairs.

    It needs a log of all updates, which only a training with `--log-updates` keeps, and a forget
    set that few batches have seen: with a whole class nearly every update would be taken back, and
    it is refused. What later updates learned from the ones before, and the momentum of the
    optimiser, is not undone. Approximate: the audit says how far it went.

    Source: Graves, Nagisetty and Ganesh, "Amnesiac Machine Learning", AAAI 2021,
    arXiv:2010.10981: w - sum of the updates of all batches that held a forgotten image. Ours:
    BatchNorm statistics are taken back as well, and the refusal.
    """

    designed_for: ClassVar[frozenset[str]] = frozenset({"samples"})
    needs: ClassVar[frozenset[str]] = frozenset({"retain", "updates"})
    space: ClassVar[Space] = {"learning_rate": (0.003, 0.01, 0.03), "epochs": (2, 4)}

    limit: Annotated[float, Gt(0), Le(1)] = 0.5
    """Refuse if a larger share of all updates would be taken back."""
    epochs: Annotated[int, Ge(1)] = 2
    """Passes over the retain set afterwards, to repair."""
    learning_rate: Annotated[float, Gt(0)] = 0.01
    batch_size: Annotated[int, Ge(1)] = 128
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 5e-4

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Take back, then repair.

        Raises:
            ValueError: there is no log, or too many updates saw the forget set.
        """
        if not given.updates:
            raise ValueError("There is no log of updates: train with `--log-updates` first.")
        touched = self.touched(given.updates, given.forget.index.cpu())
        if given.resume is None:
            _take_back(model, given.updates, touched)
        recipe = Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule="constant",
        )
        yield from loop(
            model,
            Feed(main=given.retain),
            recipe,
            rng=given.rng,
            precision=given.precision,
            resume=given.resume,
        )

    def touched(self, updates: Mapping[str, Tensor], forget: Tensor) -> list[int]:
        """The updates that saw one of these rows, (n,) int64. Raises `ValueError` above `limit`."""
        count = sum(key.startswith("rows.") for key in updates)
        found = [t for t in range(count) if torch.isin(updates[f"rows.{t}"], forget).any()]
        if len(found) > self.limit * count:
            raise ValueError(
                f"{len(found)} of the {count} updates of the training ({len(found) / count:.1%}) "
                f"saw a forgotten image; taking back more than {self.limit:.0%} would undo the "
                "training. Choose another method, or train with smaller batches."
            )
        return found


@torch.no_grad()
def _take_back(model: nn.Module, updates: Mapping[str, Tensor], touched: list[int]) -> None:
    """Subtract these updates from parameters and BatchNorm statistics, summed in float64."""
    for name, value in model.state_dict().items():
        logged = name.removesuffix("_orig")  # as a weight is called while a mask holds
        if f"update.0.{logged}" not in updates:
            continue
        total = torch.zeros(value.shape, dtype=torch.float64)
        for t in touched:
            total += updates[f"update.{t}.{logged}"]
        value.copy_((value.cpu().double() - total).to(value))
        if name.endswith("running_var"):
            value.clamp_(min=0)  # a difference of variances may be less than none
