"""What benchmarks on CIFAR-10 share: what models were trained on, what is asked, what audits see."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import nets
from benchmarks.cifar10 import CLASSES, NET, RECIPE
from benchmarks.measure import Images, chosen
from workers import methods, passes, scoring, shelf
from workers.evidence import Evidence, Scores
from workers.kinds import Given, Method, Recipe
from workers.scoring import Plan, Split

PRECISION = "bf16"
NOBODY = torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True)
class World:
    """Images, what models of them were trained on, and what was held out; rows, (n,) int64 each."""

    images: Images
    trained: Tensor
    holdout: Tensor
    """Never trained on. Empty where the test split must stand in."""

    def forget(self, target: str) -> Tensor:
        """The forget set, ascending."""
        return chosen(self.images, self.trained, target)

    def retain(self, forget: Tensor) -> Tensor:
        """What models were trained on beside the forget set."""
        return self.trained[~torch.isin(self.trained, forget)]

    def given(self, forget: Tensor, seed: int) -> Given:
        """What a method may look at."""
        images = self.images
        return Given(
            forget=images.at(forget),
            retain=images.at(self.retain(forget)),
            holdout=images.at(self.holdout),
            classes=len(CLASSES),
            fresh=partial(nets.built, NET, images),
            recipe=Recipe(**RECIPE),
            rng=torch.Generator().manual_seed(seed),
            precision=PRECISION,
        )

    def plan(self, forget: Tensor, *, full: bool = False) -> Plan:
        """What an audit looks at, as the worker chooses it."""
        gone = self.gone(forget)
        split = Split(
            forget=forget,
            retain=self.retain(forget),
            test=(~self.images.train).nonzero().flatten(),
            holdout=self.holdout,
        )
        return scoring.plan(split, self.images.labels, gone, full=full)

    def gone(self, forget: Tensor) -> Sequence[int]:
        """Classes of which nothing stays."""
        labels = self.images.labels
        left = set(labels[self.retain(forget)].tolist())
        return sorted(set(labels[forget].tolist()) - left)

    def read(
        self,
        before: nn.Module,
        after: nn.Module,
        forget: Tensor,
        *,
        plan: Plan,
        known: Scores | None = None,
    ) -> Evidence:
        """What tier 0 sees of `after`, by the code that the worker uses.

        Args:
            known: scores of `before`, for any rows.
        """
        gone = self.gone(forget)
        return passes.read(
            before,
            after,
            self.images.samples,
            plan,
            classes=len(CLASSES),
            goal="class" if gone else "samples",
            forgotten_classes=gone,
            requested=forget,
            removed=forget,
            known_before=known,
            precision=PRECISION,
        )


def unlearned(
    original: nn.Module, name: str, world: World, target: str, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """A copy that a method of the shelf has unlearned, at the settings it ships with."""
    method: Any = shelf.make(shelf.take(methods, Method, name), {})
    model, given = deepcopy(original), world.given(world.forget(target), seed)
    began = perf_counter()
    for _ in method.unlearn(model, given):
        pass
    seconds = perf_counter() - began
    return model.eval(), {"seconds": seconds, "params": asdict(method), "seed": seed}
