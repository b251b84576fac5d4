"""Influence unlearning: a Newton step to where the loss of the retain set has its minimum."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from workers.gradients import AT_ONCE, Curvature, curved, flat, gradient, move, removal, trained
from workers.kinds import Cost, Given, Method, Space, State, Step, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence(Method):
    """Moves the weights by what the forgotten images contributed to them, seen to second order.

    The curvature tells how far each weight may go without hurting what is kept; its inverse is
    never formed, but found by conjugate gradients. Good for few samples, whose removal moves the
    minimum little; a whole class lies beyond its reach. Approximate: the audit says how far it
    went.

    Source: Koh and Liang, "Understanding Black-box Predictions via Influence Functions", ICML
    2017, arXiv:1703.04730; for unlearning Jia, Liu et al., NeurIPS 2023, arXiv:2304.04934,
    section 2: w + strength * (H + damping)^-1 v, v = (1/N) sum_Df grad - n_f/(N n_r) sum_Dr grad.
    Ours: conjugate gradients in place of the WoodFisher recursion.
    """

    designed_for: ClassVar[frozenset[str]] = frozenset({"samples"})
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    space: ClassVar[Space] = {"strength": (1.0, 3.0), "damping": (1e-3, 1e-2, 1e-1)}

    strength: Annotated[float, Gt(0)] = 1.0
    """How much of the step is taken; 1 is the Newton step."""
    damping: Annotated[float, Gt(0)] = 1e-3
    """Added to the diagonal of H; it keeps the step short where the loss is flat."""
    curvature: Curvature = "gauss_newton"
    """What H is: the Hessian's positive part, or the `hessian` itself, which may need more
    damping."""
    images: Annotated[int, Ge(1)] = 1000
    """Retain images, drawn at random, over which the curvature is taken."""
    steps: Annotated[int, Ge(1)] = 30
    """Of conjugate gradients."""

    @classmethod
    def cost(cls) -> Cost:
        """Both gradients once; then in each step a product with the curvature.

        That is a forward pass and three backward ones, each of which counts as two forward: as much
        as two passes forward and backward, and one forward.
        """
        bent = "steps * min(images, retain)"
        return Cost(trained=f"forget + retain + 2 * {bent}", forwards=bent, batch=f"{AT_ONCE}")

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Gather both gradients, solve, then step.

        Raises:
            ValueError: there is no retain set, or the curvature is not positive.
        """
        model.eval()
        parts = removal(given.forget, given.retain)
        drawn = torch.randperm(len(given.retain), generator=given.rng)[: self.images]
        some = given.retain.take(drawn.to(given.retain.index.device))

        def bend(push: Tensor) -> Tensor:
            return curved(model, some, self.curvature, push) + self.damping * push

        search = _begun(given.resume, torch.zeros_like(flat([*trained(model).values()])))
        total = len(parts) + self.steps
        while search.done < total:
            if search.done < len(parts):
                samples, share = parts[search.done]
                search = search.gathered(share * gradient(model, samples))
            else:
                search = search.nearer(bend)
            yield Step(done=search.done, total=total, state=search.state)
        move(model, self.strength * search.found)


@dataclass(frozen=True, slots=True)
class _Search:
    """How far conjugate gradients have come with A found = v; (P,) each."""

    done: int
    found: Tensor
    left: Tensor
    """v - A found."""
    push: Tensor
    """Where to go next."""

    def gathered(self, part: Tensor) -> "_Search":
        """With one more part of v."""
        v = self.left + part
        return _Search(self.done + 1, self.found, v, v)

    def nearer(self, bend: Callable[[Tensor], Tensor]) -> "_Search":
        """One step, by the product with A. Raises `ValueError` where A is not positive."""
        size, bent = self.left @ self.left, bend(self.push)
        steep = self.push @ bent
        if not size or not steep:  # found already, to the last digit
            return _Search(self.done + 1, self.found, self.left, self.push)
        if steep < 0:
            raise ValueError(
                "The curvature is not positive in every direction: raise `damping`, or take "
                "`gauss_newton`."
            )
        left = self.left - size / steep * bent
        push = left + (left @ left) / size * self.push
        return _Search(self.done + 1, self.found + size / steep * self.push, left, push)

    def state(self) -> State:
        """For `_begun`."""
        numbers = {"found": self.found, "left": self.left, "push": self.push}
        return {"done": self.done, **{name: value.clone() for name, value in numbers.items()}}


def _begun(state: State | None, nothing: Tensor) -> _Search:
    if state is None:
        return _Search(0, nothing, nothing, nothing)
    return _Search(**state)  # type: ignore[arg-type] # as `state` wrote it
