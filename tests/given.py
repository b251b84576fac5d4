"""What a method is given, at a size that trains in milliseconds."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from workers.data.pixels import Resident
from workers.kinds import Given, Method, Recipe, Samples, State

CLASSES, PER_CLASS = 4, 12
GONE = 3
"""The class to forget."""


def net(seed: int = 0, *, channels: int = 1, classes: int = CLASSES) -> nn.Module:
    """Convolution, BatchNorm, dropout and a linear head for 8 x 8 pictures."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, 6, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(96, classes),
        )


def deep(seed: int = 0, *, channels: int = 1, classes: int = CLASSES) -> nn.Module:
    """Two convolutions, a hidden linear layer and a linear head."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, 6, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, 10),
            nn.ReLU(),
            nn.Linear(10, classes),
        )


def world(
    *, classes: int = CLASSES, channels: int = 1, forget: int | None = None, seed: int = 0
) -> Given:
    """A class to forget (or its first `forget` images), the rest to retain, and a recipe."""
    labels = torch.arange(classes).repeat(PER_CLASS)
    chance = torch.Generator().manual_seed(1)
    noise = torch.randint(0, 60, (len(labels), 8, 8, channels), generator=chance)
    images = noise + torch.randint(0, 195, (classes, 8, 8, channels), generator=chance)[labels]
    pixels, rows = Resident(images.to(torch.uint8)), torch.arange(len(labels))
    gone = rows[labels == min(GONE, classes - 1)][:forget]
    kept = rows[~torch.isin(rows, gone)]

    def fresh(chosen: int) -> nn.Module:
        return net(chosen, channels=channels, classes=classes)

    def samples(chosen: Tensor) -> Samples:
        return Samples(pixels, labels, chosen)

    return Given(
        forget=samples(gone),
        retain=samples(kept),
        holdout=samples(rows[:0]),
        classes=classes,
        fresh=fresh,
        recipe=Recipe(epochs=2, batch_size=16, learning_rate=0.05),
        updates=logged(fresh(0), gone, kept),
        rng=torch.Generator().manual_seed(seed),
        precision="fp32",
    )


def logged(model: nn.Module, forget: Tensor, retain: Tensor) -> dict[str, Tensor]:
    """A training log of eight small updates, of which the first saw all that is to be forgotten."""
    chance, log = torch.Generator().manual_seed(2), dict[str, Tensor]()
    for number in range(8):
        seen = retain[number::8] if number else torch.cat([forget, retain[::8]])
        log[f"rows.{number}"] = seen.to(torch.int32)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                log[f"update.{number}.{name}"] = 0.001 * torch.randn(value.shape, generator=chance)
    return log


def again(given: Given, seed: int = 0, resume: State | None = None) -> Given:
    """The same, with a generator that has not been used."""
    return replace(given, rng=torch.Generator().manual_seed(seed), resume=resume)


def carried_out(method: Method, model: nn.Module, given: Given) -> list[Tensor]:
    """Every tensor of the net after the method has run to its end."""
    for _ in method.unlearn(model, given):
        pass
    return [value.clone() for value in model.state_dict().values()]


def states(method: Method, model: nn.Module, given: Given) -> Iterator[State]:
    """Every state that the run can be resumed from, taken when it is offered."""
    for step in method.unlearn(model, given):
        if step.state is not None:
            yield step.state()
