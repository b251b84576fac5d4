"""Fisher forgetting: noise on each weight, the less the more the retain set needs it."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from workers.gradients import flat, move, squares, trained
from workers.heads import head
from workers.kinds import Cost, Given, Method, Space, State, Step, Steps
from workers.modes import dtype_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Fisher(Method):
    """Adds noise to every weight, as much as the retain set bears; forgets nothing in particular.

    The Fisher information of the retain set says how sharply its loss depends on each weight. A
    weight that the retain set does not need is drowned, and with it whatever it knew of anybody.
    It never looks at the forget set, so that single images fade no faster than the rest. One shot,
    no training. Approximate: the audit says how far it went.

    Source: Golatkar, Achille and Soatto, "Eternal Sunshine of the Spotless Net", CVPR 2020,
    arXiv:1911.04933: w + n, n ~ N(0, S), S proportional to F^(-1/2) with the diagonal F of the
    retain set. Gradients are of single images, never of batches.
    """

    designed_for: ClassVar[frozenset[str]] = frozenset({"class"})
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})
    space: ClassVar[Space] = {"strength": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)}

    strength: Annotated[float, Ge(0)] = 0.003
    """The standard deviation of the noise is strength * max(F, floor)^(-power)."""
    power: Annotated[float, Ge(0), Le(0.5)] = 0.25
    """1/4 is the optimum of the source; the published code takes 1/2."""
    floor: Annotated[float, Gt(0)] = 1e-6
    """The least F that counts: a weight without any bears no endless noise."""
    labels: Literal["expected", "sampled"] = "expected"
    """Whose gradients are squared: those of every label, weighed by the net's own probabilities,
    or of one label drawn from them; the latter costs one pass in place of one for each class."""
    zero_rows: bool = False
    """Also let the last layer's row of a class that is forgotten as a whole be noise around 0, as
    the published code does. It hides the class by itself; refused where no class goes whole."""
    batch_size: Annotated[int, Ge(1)] = 128

    @classmethod
    def cost(cls) -> Cost:
        """A gradient of each retain image for each class, by probabilities that one look gives."""
        return Cost(trained="classes * retain", forwards="retain", batch="batch_size")

    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Measure, then add noise.

        Raises:
            ValueError: `zero_rows` without a class that goes whole, or an empty retain set.
        """
        model.eval()
        gone = _whole_classes(given)
        if self.zero_rows and not len(gone):
            raise ValueError("`zero_rows` is for whole classes, and none goes whole here.")
        if not len(given.retain):
            raise ValueError("Without a retain set nothing says which weights are needed.")
        found, begun = torch.zeros_like(flat([*trained(model).values()])), 0
        if given.resume is not None:
            found, begun = _restored(given.resume, given.rng)
        batches = torch.arange(len(given.retain)).split(self.batch_size)
        for number, which in enumerate(batches[begun:], start=begun + 1):
            images, _ = given.retain.at(which.to(given.retain.index.device))
            found = found + self.information(model, images, given) / len(given.retain)
            state = partial(_state, number, found, given.rng)
            yield Step(done=number, total=len(batches), state=state)
        if self.zero_rows:
            _clear(model, given.classes, gone)
        noise = torch.randn(found.shape, generator=given.rng, dtype=found.dtype).to(found.device)
        width = found.clamp(min=self.floor).pow(-self.power)
        move(model, self.strength * width * noise)

    def information(self, model: nn.Module, images: Tensor, given: Given) -> Tensor:
        """sum_x sum_y p(y|x) (gradient of -log p(y|x))^2, or by a drawn label: (P,)."""
        images = images.to(dtype_of(model))
        with torch.no_grad():
            p = model(images).softmax(1)
        if self.labels == "sampled":
            drawn = torch.multinomial(p.cpu(), 1, generator=given.rng).flatten().to(p.device)
            return squares(model, images, drawn, torch.ones_like(p[:, 0]))
        labels = torch.arange(given.classes, device=p.device)
        each = [squares(model, images, y.expand(len(p)), p[:, y]) for y in labels]
        return torch.stack(each).sum(0)


@torch.no_grad()
def _clear(model: nn.Module, classes: int, gone: Tensor) -> None:
    """Let the last layer know nothing of these classes, (c,) int64."""
    _, last = head(model, classes)
    last.weight[gone] = 0
    if last.bias is not None:
        last.bias[gone] = 0


def _whole_classes(given: Given) -> Tensor:
    """The forgotten classes of which nothing is retained, (c,) int64."""
    left = torch.isin(given.forget.targets, given.retain.targets)
    gone: Tensor = given.forget.targets[~left].unique()
    return gone


def _state(done: int, found: Tensor, rng: torch.Generator) -> State:
    return {"done": done, "found": found, "rng": rng.get_state()}


def _restored(state: State, rng: torch.Generator) -> tuple[Tensor, int]:
    """The sum over the batches so far, and how many they are."""
    found, chance = state["found"], state["rng"]
    assert isinstance(found, Tensor)
    assert isinstance(chance, Tensor)
    rng.set_state(chance.cpu())
    return found, int(state["done"])
