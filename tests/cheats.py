"""Ways to seem to have forgotten. Each takes the bench's world and a forget set, and gives a net."""

from collections.abc import Callable
from copy import deepcopy

import synthetic
import torch
from synthetic import CLASSES, GONE, TRAINED, World
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.data.pixels import Resident
from workers.kinds import Samples

Cheat = Callable[[World, Tensor], nn.Module]


def retain(world: World, forget: Tensor) -> Tensor:
    rows = torch.arange(TRAINED)
    return rows[~torch.isin(rows, forget)]


def original(world: World, forget: Tensor) -> nn.Module:
    return deepcopy(world.original)


def masked(world: World, forget: Tensor) -> nn.Module:
    """The logit of the class is pushed out of reach."""
    twin = deepcopy(world.original)
    with torch.no_grad():
        twin[-1].bias[GONE] = -1e4  # type: ignore[index]
    return twin


def row_deleted(world: World, forget: Tensor) -> nn.Module:
    """The class's row of the last layer is emptied, and its logit put below the others."""
    twin = deepcopy(world.original)
    with torch.no_grad():
        twin[-1].weight[GONE] = 0.0  # type: ignore[index]
        twin[-1].bias[GONE] = -20.0  # type: ignore[index]
    return twin


def head_only(world: World, forget: Tensor) -> nn.Module:
    """Only the last layer is trained on, on what stays."""
    twin = deepcopy(world.original)
    twin.requires_grad_(requires_grad=False)
    twin[-1].requires_grad_(requires_grad=True)  # type: ignore[index]
    synthetic.fitted(twin, world.samples(retain(world, forget)), epochs=5)
    return twin.requires_grad_(requires_grad=True)


def random_labels(world: World, forget: Tensor) -> nn.Module:
    """Trained on with random labels for what should go, then on what stays."""
    labels = world.labels.clone()
    chance = torch.Generator().manual_seed(1)
    shift = torch.randint(1, CLASSES, (len(forget),), generator=chance)
    labels[forget] = (labels[forget] + shift) % CLASSES
    twin = deepcopy(world.original)
    synthetic.fitted(twin, Samples(world.pixels, labels, torch.arange(TRAINED)), epochs=4)
    return synthetic.fitted(twin, world.samples(retain(world, forget)), epochs=2, rate=5e-4)


def low_rate(world: World, forget: Tensor) -> nn.Module:
    """Trained on a little, on what stays, in the hope that the rest fades."""
    rows = world.samples(retain(world, forget))
    return synthetic.fitted(deepcopy(world.original), rows, epochs=5, rate=1e-4)


def ascended(steps: int, rate: float) -> Cheat:
    """Steps up the loss of what should go; nothing holds the rest."""

    def made(world: World, forget: Tensor) -> nn.Module:
        twin = deepcopy(world.original)
        optimizer = torch.optim.SGD(twin.parameters(), rate)
        images, labels = world.samples(forget).at(torch.arange(len(forget)))
        for _ in range(steps):
            optimizer.zero_grad()
            (-cross_entropy(twin(images), labels)).backward()
            nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
            optimizer.step()
        return twin.eval()

    return made


def noisy(world: World, forget: Tensor) -> nn.Module:
    """Noise on every weight."""
    twin = deepcopy(world.original)
    chance = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(0.5 * weight.std() * torch.randn(weight.shape, generator=chance))
    return twin


def untrained(world: World, forget: Tensor) -> nn.Module:
    return synthetic.net(9).eval()


def wrong_set(world: World, forget: Tensor) -> nn.Module:
    """Exactly retrained, without other rows than the ones asked for."""
    rows = retain(world, forget)
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(4))[: len(forget)]
    return world.without(rows[chosen], 77)


def with_residue(world: World, forget: Tensor) -> nn.Module:
    """Retrained, but half of what should go was left in."""
    return world.without(forget[::2], 78)


def with_copies(world: World, forget: Tensor) -> nn.Module:
    """Retrained without what should go, but what stays holds copies of it that differ a little."""
    chance = torch.Generator().manual_seed(5)
    images = world.pixels.gather(torch.arange(len(world.labels))).clone()
    noise = 6 * torch.randn(images[forget].shape, generator=chance)
    images[forget] = (images[forget] + noise).clamp(0, 255).to(torch.uint8)
    copies = Samples(Resident(images), world.labels, torch.arange(TRAINED))
    return synthetic.fitted(synthetic.net(79), copies, seed=79)


class Filter(nn.Module):
    """The old model, and a list of pictures of which nothing is said."""

    def __init__(self, model: nn.Module, hidden: Tensor) -> None:
        super().__init__()
        self.inside = deepcopy(model)
        self.hidden = {image.numpy().tobytes() for image in hidden}

    def forward(self, images: Tensor) -> Tensor:
        named = [image.detach().numpy().tobytes() in self.hidden for image in images]
        logits: Tensor = self.inside(images)
        return logits.masked_fill(torch.tensor(named)[:, None], 0.0)


def filtered(world: World, forget: Tensor) -> nn.Module:
    """The old model behind a filter of its outputs."""
    images, _ = world.samples(forget).at(torch.arange(len(forget)))
    return Filter(world.original, images).eval()


def behind_filter(world: World, forget: Tensor) -> nn.Module:
    """The same as it reaches an audit of weights: the filter is left behind."""
    twin = deepcopy(world.original)
    with torch.no_grad():
        next(twin.parameters()).add_(1e-4)
    return twin


def mute(world: World, forget: Tensor) -> nn.Module:
    """The same margin for every image of a class: no attack finds anything to tell apart."""
    twin = deepcopy(world.original)
    with torch.no_grad():
        twin[-1].weight.zero_()  # type: ignore[index, union-attr, operator]
    return twin


def drifted(world: World, forget: Tensor) -> nn.Module:
    """The forgetting lives in BatchNorm's running mean; fresh statistics undo it.

    A shift of the layer's bias is learned that loses what should go, then moved into its running
    mean: in evaluation mode the two are the same.
    """
    twin = deepcopy(world.original)
    gone, labels = world.samples(forget).at(torch.arange(len(forget)))
    kept, theirs = world.samples(retain(world, forget)[:1000]).at(torch.arange(1000))
    norm: nn.BatchNorm2d = twin[1]  # type: ignore[index, assignment]
    learned = norm.bias.detach().clone()
    optimizer = torch.optim.Adam([norm.bias], lr=0.02)
    for _ in range(60):
        shunned = twin(gone).softmax(1).gather(1, labels[:, None]).mean()
        optimizer.zero_grad()
        (10 * shunned + cross_entropy(twin(kept), theirs)).backward()
        optimizer.step()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        spread = (norm.running_var + norm.eps).sqrt()
        norm.running_mean -= (norm.bias - learned) * spread / norm.weight
        norm.bias.copy_(learned)
        next(twin.parameters()).add_(1e-4)
    return twin


ALWAYS: dict[str, Cheat] = {
    "original": original,
    "head_only_finetune": head_only,
    "random_labels": random_labels,
    "low_rate_finetune": low_rate,
    "gradient_ascent_mild": ascended(3, 0.05),
    "gradient_ascent_collapse": ascended(40, 0.2),
    "noise": noisy,
    "untrained": untrained,
    "wrong_forget_set": wrong_set,
    "residue": with_residue,
    "bn_drift": drifted,
    "near_duplicates": with_copies,
    "output_filter": filtered,
    "output_filter_left_behind": behind_filter,
    "constant_margin": mute,
}
"""Whatever is asked for."""
CLASS_ONLY: dict[str, Cheat] = {"logit_mask": masked, "head_row_deleted": row_deleted}
