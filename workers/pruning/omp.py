"""One-shot magnitude pruning: the smallest weights go, and the rest is finetuned."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Lt
from torch import nn

from workers.batches import Feed
from workers.kinds import Given, Recipe, Steps
from workers.sparsity import Pruner, hold, largest, weights
from workers.training import loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Omp(Pruner):
    """Sets the smallest weights to zero at once and finetunes those that are left; quick.

    The masks are read off the trained weights, and so off the forgotten images too. It needs no
    recipe.

    Source: Jia, Liu et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023,
    arXiv:2304.04934, which prunes by magnitude as Ma et al. (2021), arXiv:2107.00166. Ours: what
    is left is finetuned from where it is, instead of from an early checkpoint, which a model that
    was brought here does not have.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"retain"})

    epochs: Annotated[int, Ge(1)] = 5
    """Passes over the images, to learn again what the zeros cost."""
    learning_rate: Annotated[float, Gt(0)] = 0.05
    schedule: Literal["constant", "cosine", "one_cycle"] = "cosine"
    """How the learning rate goes over the steps."""
    batch_size: Annotated[int, Ge(1)] = 128
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 1e-4

    def prune(self, model: nn.Module, given: Given) -> Steps:
        """Cut, then learn again."""
        sizes = {name: weight.abs() for name, weight in weights(model, self.tensors).items()}
        hold(model, largest(sizes, self.sparsity))
        recipe = Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
        )
        yield from loop(
            model,
            Feed(main=self.learned(given)),
            recipe,
            rng=given.rng,
            precision=given.precision,
            resume=given.resume,
        )
