"""Ways to seem to have forgotten. Each takes the bench's world and a forget set, and gives a net."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks import cheats, synthetic
from benchmarks.synthetic import CLASSES, TRAINED, World
from workers.data.pixels import Resident
from workers.kinds import Given, Samples

Cheat = Callable[[World, Tensor], nn.Module]


def retain(world: World, forget: Tensor) -> Tensor:
    rows = torch.arange(TRAINED)
    return rows[~torch.isin(rows, forget)]


def original(world: World, forget: Tensor) -> nn.Module:
    return deepcopy(world.original)


def shared(name: str) -> Cheat:
    """One of those that the benchmark on real images knows as well."""

    def made(world: World, forget: Tensor) -> nn.Module:
        given = Given(
            forget=world.samples(forget),
            retain=world.samples(retain(world, forget)),
            holdout=world.samples(synthetic.NOBODY),
            classes=CLASSES,
            fresh=synthetic.net,
            rng=torch.Generator().manual_seed(5),
            precision="fp32",
        )
        return {**cheats.ALWAYS, **cheats.CLASS_ONLY}[name](world.original, given)

    return made


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


ALWAYS: dict[str, Cheat] = {
    "original": original,
    "random_labels": random_labels,
    "low_rate_finetune": low_rate,
    "gradient_ascent_mild": ascended(3, 0.05),
    "gradient_ascent_collapse": ascended(40, 0.2),
    "noise": noisy,
    "untrained": untrained,
    "wrong_forget_set": wrong_set,
    "residue": with_residue,
    **{name: shared(name) for name in cheats.ALWAYS},
    "near_duplicates": with_copies,
    "output_filter": filtered,
    "output_filter_left_behind": behind_filter,
    "constant_margin": mute,
}
"""Whatever is asked for."""
CLASS_ONLY: dict[str, Cheat] = {name: shared(name) for name in cheats.CLASS_ONLY}
