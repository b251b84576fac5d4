"""Influence unlearning without curvature: one step along the difference of two gradients."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt
from torch import nn

from workers.gradients import AT_ONCE, flat, gradient, move, removal, trained
from workers.kinds import Cost, Given, Method, Space, Step, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceFirstOrder(Method):
    """Takes one plain gradient step up the loss of the forget set and down that of the rest.

    It is what is left of influence unlearning when the inverse Hessian is replaced by one number,
    and is kept under its own name to be compared with. One pass over the data, no training.
    Approximate: the audit says how far it went.

    Source: Izzo et al., "Approximate Data Deletion from Machine Learning Models", AISTATS 2021,
    arXiv:2002.10077, and Jia, Liu et al., NeurIPS 2023, arXiv:2304.04934, section 2, with the
    identity for the Hessian: w + strength * v, v = (1/N) sum_Df grad - n_f/(N n_r) sum_Dr grad.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    space: ClassVar[Space] = {"strength": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)}

    strength: Annotated[float, Gt(0)] = 1.0
    """What stands for the inverse Hessian: the length of the step."""

    @classmethod
    def cost(cls) -> Cost:
        """Both gradients, once."""
        return Cost(trained="forget + retain", batch=f"{AT_ONCE}")

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Gather both gradients, then take the step. Raises `ValueError` without a retain set."""
        model.eval()
        parts, v, begun = (
            removal(given.forget, given.retain),
            torch.zeros_like(flat([*trained(model).values()])),
            0,
        )
        if given.resume is not None:
            v, begun = given.resume["v"], given.resume["done"]  # type: ignore[assignment]
        for number, (samples, share) in enumerate(parts[begun:], start=begun + 1):
            v = v + share * gradient(model, samples)
            yield Step(done=number, total=len(parts), state=partial(dict, done=number, v=v))
        move(model, self.strength * v)
