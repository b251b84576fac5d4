"""A toy world for audits: noisy pictures, a net that learns them by heart, and ways to cheat."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor, nn

from workers import audits, shelf
from workers.data.pixels import Resident
from workers.evidence import Audit, Evidence, Finding, References, Retrain, Scores
from workers.kinds import Samples
from workers.scoring import Plan, Split, plan, recalibrated, score

CLASSES, PER_CLASS, TESTED = 4, 40, 60
GONE = 3
"""The class to forget."""


def net(seed: int) -> nn.Module:
    """A fresh net with BatchNorm for 8 x 8 pictures of one channel."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, CLASSES),
        )


def pictures() -> tuple[Resident, Tensor]:
    """Training rows first, then test rows; each class is a pattern under much noise."""
    chance = torch.Generator().manual_seed(0)
    patterns = torch.rand(CLASSES, 8, 8, 1, generator=chance)
    labels = torch.arange(CLASSES).repeat(PER_CLASS + TESTED)
    noise = torch.randn(len(labels), 8, 8, 1, generator=chance)
    images = 127 + 60 * (patterns[labels] - 0.5) + 45 * noise
    return Resident(images.clamp(0, 255).to(torch.uint8)), labels


def trained(model: nn.Module, samples: Samples, epochs: int = 25) -> nn.Module:
    """The same net, having learned these samples by heart."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    chance = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        for which in torch.randperm(len(samples), generator=chance).split(64):
            images, labels = samples.at(which)
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that evidence is made of."""

    pixels: Resident
    labels: Tensor
    original: nn.Module
    retrained: nn.Module
    """Never saw the class that is to be forgotten."""

    @property
    def train(self) -> Tensor:
        return torch.arange(CLASSES * PER_CLASS)

    @property
    def test(self) -> Tensor:
        return torch.arange(CLASSES * PER_CLASS, len(self.labels))

    def samples(self, rows: Tensor) -> Samples:
        return Samples(self.pixels, self.labels, rows)

    def scored(self, model: nn.Module, rows: Tensor) -> Scores:
        return score(model, self.samples(rows), precision="fp32")


@cache
def world() -> World:
    """The same for all tests, which must not change it."""
    pixels, labels = pictures()
    rows = torch.arange(CLASSES * PER_CLASS)
    kept = rows[labels[rows] != GONE]
    return World(
        pixels=pixels,
        labels=labels,
        original=trained(net(0), Samples(pixels, labels, rows)),
        retrained=trained(net(1), Samples(pixels, labels, kept)),
    )


def evidence(
    world: World,
    after: nn.Module,
    *,
    forget: Tensor | None = None,
    classes: Sequence[int] = (GONE,),
    goal: str = "class",
    removed: Tensor | None = None,
) -> Evidence:
    """What the audits see of `after`, which should have forgotten the class (or `forget`)."""
    gone = world.train[world.labels[world.train] == GONE] if forget is None else forget
    chosen = arranged(world, gone, classes)
    fresh = recalibrated(after, world.samples(chosen.parts["recalibration"]))
    again = fresh is not None and len(chosen.again) > 0
    return Evidence(
        before=world.scored(world.original, chosen.rows),
        after=world.scored(after, chosen.rows),
        recalibrated=world.scored(fresh, chosen.again) if again else None,
        parts=chosen.parts,
        classes=CLASSES,
        goal=goal,
        forgotten_classes=classes,
        model_before=world.original,
        model_after=after,
        requested=gone,
        removed=gone if removed is None else removed,
        neighbours=(world.labels[gone] + 1) % CLASSES,
        run={"rte_seconds": 1.5, "samples_per_second": 600.0, "peak_memory_bytes": 2.0**30},
        rng=torch.Generator().manual_seed(11),
    )


def armed(world: World, evidence: Evidence) -> Evidence:
    """The same with all that tier 1 asks for: pixels, a pool of made-up margins, retrained nets."""
    rows, chance = evidence.after.rows, torch.Generator().manual_seed(5)
    trained = torch.rand(8, len(rows), generator=chance).argsort(0).argsort(0) < 4
    margins = torch.randn(8, len(rows), generator=chance) + 2.0 * trained
    retrains = [
        Retrain(scores=world.scored(model, rows), model=partial(deepcopy, model))
        for model in (shaken(world.retrained, seed) for seed in range(5))
    ]
    return replace(
        evidence,
        samples=world.samples(torch.arange(len(world.labels))),
        references=References(rows=rows, margins=margins, trained=trained),
        retrains=retrains,
    )


def shaken(model: nn.Module, seed: int) -> nn.Module:
    """A copy with a little noise on its weights."""
    twin, chance = deepcopy(model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(0.05 * weight.std() * torch.randn(weight.shape, generator=chance))
    return twin


def arranged(world: World, forget: Tensor, classes: Sequence[int]) -> Plan:
    nobody = torch.zeros(0, dtype=torch.int64)
    retain = world.train[~torch.isin(world.train, forget)]
    split = Split(forget=forget, retain=retain, test=world.test, holdout=nobody)
    return plan(split, world.labels, classes)


# ---- questions ---------------------------------------------------------------------------------


SHELF = shelf.on(audits, Audit)


def everything(evidence: Evidence) -> dict[str, Finding]:
    found = [finding for kind in SHELF.values() for finding in kind().ask(evidence)]
    return {finding.test: finding for finding in found}


# ---- models that only look as if they had forgotten --------------------------------------------


def masked(model: nn.Module) -> nn.Module:
    """The logit of the class is pushed out of reach; nothing else changes."""
    twin = deepcopy(model)
    with torch.no_grad():
        twin[-1].bias[GONE] = -1e4  # type: ignore[index]
    return twin


def drifted(world: World) -> nn.Module:
    """The class is lost by BatchNorm's running means alone; weights barely move.

    A shift of a layer's bias is learned, then moved into its running mean: in evaluation mode
    the two are the same, but a mean is forgotten as soon as it is estimated afresh.
    """
    twin = deepcopy(world.original)
    images, labels = world.samples(world.train).at(world.train)
    norms = [part for part in twin.modules() if isinstance(part, nn.BatchNorm2d)]
    learned = [norm.bias.detach().clone() for norm in norms]
    optimizer = torch.optim.Adam([norm.bias for norm in norms], lr=0.02)
    for _ in range(80):
        logits = twin(images)
        shunned = logits[labels == GONE].softmax(1)[:, GONE].mean()
        kept = nn.functional.cross_entropy(logits[labels != GONE], labels[labels != GONE])
        optimizer.zero_grad()
        (20 * shunned + kept).backward()
        optimizer.step()
    with torch.no_grad():
        for norm, bias in zip(norms, learned, strict=True):
            spread = (norm.running_var + norm.eps).sqrt()  # type: ignore[operator]
            norm.running_mean -= (norm.bias - bias) * spread / norm.weight  # type: ignore[operator]
            norm.bias.copy_(bias)
        next(twin.parameters()).add_(1e-4)
    return twin


def collapsed(model: nn.Module) -> nn.Module:
    """Everything is taken for class 0, as after too much gradient ascent."""
    twin = deepcopy(model)
    with torch.no_grad():
        twin[-1].weight.zero_()  # type: ignore[index]
        twin[-1].bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))  # type: ignore[index]
    return twin


def broken(model: nn.Module) -> nn.Module:
    """One weight is not a number."""
    twin = deepcopy(model)
    with torch.no_grad():
        next(twin.parameters())[0] = float("nan")
    return twin


def emptied(parts: Mapping[str, Tensor], *names: str) -> dict[str, Tensor]:
    """The same parts, some of them without any row."""
    return {name: rows[:0] if name in names else rows for name, rows in parts.items()}
