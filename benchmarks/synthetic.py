"""A world for the audit's own test-bench: easy to train in, easy to learn by heart, all exact."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from workers.data.pixels import Resident
from workers.evidence import Evidence, References, Retrain, Scores
from workers.kinds import Samples
from workers.scoring import Split, plan, recalibrated, score
from workers.signals import margin

CLASSES, TRAINED, HELD, FOREIGN, SIZE = 5, 5000, 7500, 2500, 12
GONE = 2
"""The class that class requests ask for."""
POOL, EPOCHS, BATCH = 8, 20, 200
WRONG = 0.2
"""Share of labels that are wrong, so that knowing an image shows."""
SHOWN = 1000
"""Retain images that the audits look at."""
NOBODY = torch.zeros(0, dtype=torch.int64)


def net(seed: int) -> nn.Module:
    """A fresh net with BatchNorm for pictures of 12 x 12 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12 * (SIZE // 2) ** 2, 96),
            nn.ReLU(),
            nn.Linear(96, CLASSES),
        )


def fitted(
    model: nn.Module, samples: Samples, *, epochs: int = EPOCHS, rate: float = 4e-3, seed: int = 0
) -> nn.Module:
    """The same net, trained on these samples by Adam; the rate falls to zero."""
    images, labels = samples.at(torch.arange(len(samples)))
    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([w for w in model.parameters() if w.requires_grad], lr=rate)
    steps = epochs * (len(samples) // BATCH)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(samples), generator=chance)
        for which in order[: len(order) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(images[which]), labels[which])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
    return model.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Pictures, the model that learned them, and the pool; nobody may change them."""

    pixels: Resident
    labels: Tensor
    original: nn.Module
    references: References

    def samples(self, rows: Tensor) -> Samples:
        return Samples(self.pixels, self.labels, rows)

    def scored(self, model: nn.Module, rows: Tensor) -> Scores:
        return score(model, self.samples(rows), precision="fp32", batch_size=2048)

    def without(self, forget: Tensor, seed: int) -> nn.Module:
        """Retrained from scratch on what is left."""
        rows = torch.arange(TRAINED)
        return fitted(net(seed), self.samples(rows[~torch.isin(rows, forget)]), seed=seed)


def pictures() -> tuple[Resident, Tensor]:
    """Training rows, held-out ones, and some of another source, which is a little brighter.

    Patterns of the classes under much noise; some labels are wrong.
    """
    chance = torch.Generator().manual_seed(0)
    count = TRAINED + HELD + FOREIGN
    truth = torch.randint(CLASSES, (count,), generator=chance)
    patterns = torch.rand(CLASSES, SIZE, SIZE, 1, generator=chance)
    noise = torch.randn(count, SIZE, SIZE, 1, generator=chance)
    images = 127 + 60 * (patterns[truth] - 0.5) + 60 * noise
    images[TRAINED + HELD :] += 4
    other = torch.randint(CLASSES, (count,), generator=chance)
    wrong = torch.rand(count, generator=chance) < WRONG
    labels = torch.where(wrong, other, truth)
    return Resident(images.clamp(0, 255).to(torch.uint8)), labels


@cache
def world() -> World:
    pixels, labels = pictures()
    everything = Samples(pixels, labels, torch.arange(len(labels)))
    original = fitted(net(0), everything.take(torch.arange(TRAINED)))
    return World(pixels=pixels, labels=labels, original=original, references=pool(everything))


def pool(everything: Samples) -> References:
    """Models of balanced random halves of the training rows and as many held-out ones."""
    chance = torch.Generator().manual_seed(3)
    drawn = torch.arange(2 * TRAINED)
    order = torch.rand(POOL, len(drawn), generator=chance).argsort(0).argsort(0)
    trained = torch.zeros(POOL, len(everything), dtype=torch.bool)
    trained[:, drawn] = order < POOL // 2
    margins = []
    for k in range(POOL):
        model = fitted(net(100 + k), everything.take(trained[k].nonzero()[:, 0]), seed=k)
        scores = score(model, everything, precision="fp32", batch_size=2048)
        margins.append(torch.from_numpy(margin(scores)).float())
    return References(rows=everything.index, margins=torch.stack(margins), trained=trained)


# ---- evidence ----------------------------------------------------------------------------------


def some(seed: int, size: int = 1000) -> Tensor:
    """Training rows by chance, ascending."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randperm(TRAINED, generator=chance)[:size].sort().values


def hard(world: World, size: int = 1000) -> Tensor:
    """The training rows that models which never saw them find hardest; wrong labels, mostly.

    The pool is what the audit itself calibrates by, so others are asked.
    """
    rows = torch.arange(TRAINED)
    halves = rows[rows % 2 == 0], rows[rows % 2 == 1]
    found = torch.zeros(TRAINED)
    for seed, (taught, asked) in enumerate([halves, halves[::-1]]):
        model = fitted(net(200 + seed), world.samples(taught))
        found[asked] = torch.from_numpy(margin(world.scored(model, asked))).float()
    return found.argsort()[:size].sort().values


def evidence(
    world: World,
    after: nn.Module,
    forget: Tensor,
    *,
    classes: Sequence[int] = (),
    removed: Tensor | None = None,
    retrains: Sequence[nn.Module] = (),
    holdout: Tensor | None = None,
) -> Evidence:
    """What the audits see of `after`, which should have forgotten these rows."""
    rows = torch.arange(TRAINED)
    held = torch.arange(TRAINED, TRAINED + HELD) if holdout is None else holdout
    retain = rows[~torch.isin(rows, forget)][:SHOWN]
    split = Split(forget=forget, retain=retain, test=NOBODY, holdout=held)
    chosen = plan(split, world.labels, classes, full=True)
    fresh = recalibrated(after, world.samples(chosen.parts["recalibration"]), precision="fp32")
    assert fresh is not None
    return Evidence(
        before=world.scored(world.original, chosen.rows),
        after=world.scored(after, chosen.rows),
        recalibrated=world.scored(fresh, chosen.again),
        parts=chosen.parts,
        classes=CLASSES,
        goal="class" if classes else "samples",
        forgotten_classes=classes,
        model_before=world.original,
        model_after=after,
        requested=forget,
        removed=forget if removed is None else removed,
        samples=world.samples(torch.arange(len(world.labels))),
        references=at(world.references, chosen.rows),
        retrains=[retrain(world, model, chosen.rows) for model in retrains],
        rng=torch.Generator().manual_seed(11),
    )


def at(references: References, rows: Tensor) -> References:
    """The pool over these rows only."""
    return replace(
        references,
        rows=rows,
        margins=references.margins[:, rows],
        trained=references.trained[:, rows],
    )


def retrain(world: World, model: nn.Module, rows: Tensor) -> Retrain:
    return Retrain(scores=world.scored(model, rows), model=lambda: deepcopy(model))
