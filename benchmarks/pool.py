"""What tier 1 needs to judge models of the slice of CIFAR-10: a pool of half models, and retrains."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import inf
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks import nets
from benchmarks.cifar10 import NET, RECIPE
from benchmarks.measure import Images
from benchmarks.record import write
from benchmarks.slice import opened as slice_opened
from benchmarks.worlds import PRECISION, World
from workers import halves, scoring, training, weights
from workers.evidence import Evidence, References, Retrain, Scores
from workers.kinds import Recipe
from workers.signals import margin

HALVES = 8
RETRAINED = "retrained_without_class4_seed"
BESIDE = range(2, 7)
"""Seeds of the models retrained without class 4 that set the bands; seed 1 is under audit."""


class TooLate(Exception):
    """Something must be built first, and the time is over."""


@dataclass(frozen=True)
class Pooled:
    """The slice and its models, given and built; what is built lies in a cache for good."""

    world: World
    models: Path
    cache: Path
    until: float = inf
    """On the monotonic clock: nothing is begun to be built later, but `TooLate` raised."""

    @classmethod
    def opened(cls, images: Images, models: Path, cache: Path, until: float = inf) -> "Pooled":
        """On the images of the slice; all other training images were never seen."""
        found = slice_opened(images, models)
        cache.mkdir(parents=True, exist_ok=True)
        return cls(World(images, found.rows, found.strangers), models, cache, until)

    @cached_property
    def halves(self) -> list[tuple[Tensor, Tensor]]:
        """Of each half model the rows that it was trained on, and its margins of all rows."""
        return [self._half(k) for k in range(HALVES)]

    def references(self, rows: Tensor) -> References:
        """The pool over these rows."""
        every = torch.arange(len(self.world.images.ids))
        return References(
            rows=rows,
            margins=torch.stack([margins[rows] for _, margins in self.halves]),
            trained=torch.stack([torch.isin(every, seen)[rows] for seen, _ in self.halves]),
        )

    def retrains(self, rows: Tensor) -> list[Retrain]:
        """Five models retrained without class 4."""
        files = [self.models / f"{RETRAINED}{seed}.safetensors" for seed in BESIDE]
        return [Retrain(scores=self.scores(f).of(rows), model=partial(self.net, f)) for f in files]

    def evidence(self, after: nn.Module, forget: Tensor) -> Evidence:
        """What tier 1 sees of a net that should have forgotten these rows."""
        original, plan = self.models / "original.safetensors", self.world.plan(forget)
        before, known = self.net(original), self.scores(original)
        seen = self.world.read(before, after, forget, plan=plan, known=known)
        retrains = self.retrains(plan.rows) if self.world.gone(forget) else []
        return replace(seen, references=self.references(plan.rows), retrains=retrains)

    def net(self, file: Path) -> nn.Module:
        """A checkpoint in evaluation mode."""
        return nets.loaded(NET, self.world.images, file).eval()

    def scores(self, file: Path) -> Scores:
        """What a checkpoint says of all rows."""
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        kept = self._kept(
            f"scores_{digest}", lambda: scoring.dump_scores(self._all(self.net(file)))
        )
        return scoring.load_scores(kept.read_bytes())

    def without(self, target: str, seed: int = 1) -> Path:
        """A model retrained without a target."""
        rows = self.world.retain(self.world.forget(target))
        name = f"without_{target.replace(':', '')}_seed{seed}"
        return self._kept(name, lambda: weights.dump(self._trained(rows, seed)))

    def _half(self, k: int) -> tuple[Tensor, Tensor]:
        """Every other half is the complement of the one before, as in the service's pools."""
        pool, groups = self._drawn_from()
        chosen = halves.half(pool, groups, 100 + k // 2)
        if k % 2:
            chosen = pool[~torch.isin(pool, chosen)]

        def built() -> bytes:
            found = margin(self._all(self._trained(chosen, 200 + k)))
            return halves.dump_margins(chosen, torch.from_numpy(found))

        tables = load_file(self._kept(f"half_{k}", built))
        return tables["rows"], tables["margins"]

    def _kept(self, name: str, built: Callable[[], bytes]) -> Path:
        """What the cache has by this name, built if it has not."""
        kept = self.cache / f"{name}.safetensors"
        if not kept.exists():
            if time.monotonic() > self.until:
                raise TooLate
            write(kept, built())
        return kept

    def _all(self, net: nn.Module) -> Scores:
        """What a net says of all rows."""
        return scoring.score(net, self.world.images.samples, precision=PRECISION)

    def _drawn_from(self) -> tuple[Tensor, Tensor]:
        """The slice and as many other images, and what is balanced: class, and whether of the slice."""
        world = self.world
        beside = scoring.proportionate(
            world.holdout, world.images.labels, len(world.trained), seed=0
        )
        pool = torch.cat([world.trained, beside]).sort().values
        return pool, 2 * world.images.labels[pool] + torch.isin(pool, world.trained)

    def _trained(self, rows: Tensor, seed: int) -> nn.Module:
        """A net trained on these rows by the recipe of all checkpoints."""
        images = self.world.images
        net, chance = nets.built(NET, images, seed), torch.Generator().manual_seed(seed)
        for _ in training.fit(
            net, images.at(rows), Recipe(**RECIPE), rng=chance, precision=PRECISION
        ):
            pass
        return net
