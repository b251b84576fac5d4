"""What tier 0 costs beside the unlearning that it audits, and how often it reads each image."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchmarks.record import Row
from benchmarks.worlds import World, unlearned
from workers.kinds import Pixels, Samples
from workers.modes import norms
from workers.verdicts import judge

METHOD, TARGET, SEED = "boundary_shrink", "class:4", 1
BARS = {"quick": 0.4, "full": 1.0}
"""Seconds of the audit over those of the unlearning, at most."""
KEY = ("plan",)


def jobs(
    world: Callable[[], World], checkpoint: Callable[[str], nn.Module]
) -> list[tuple[Row, Callable[[], Row]]]:
    """The quick choice (D_f, test images, 5,000 of D_r) and the full one (all of D_r)."""
    return [({"plan": plan}, partial(measured, world, checkpoint, plan)) for plan in BARS]


def measured(world: Callable[[], World], checkpoint: Callable[[str], nn.Module], plan: str) -> Row:
    """Unlearn a class, then audit the result as if nothing of either version were known yet."""
    original = checkpoint("original")
    model, facts = unlearned(original, METHOD, world(), TARGET, SEED)
    tally = Tally(world().images.samples.pixels)
    seconds, verdict, rows = audited(world(), tally, original, model, full=plan == "full")
    return {
        "target": TARGET,
        "method": METHOD,
        "params": facts["params"],
        "unlearn_seconds": round(facts["seconds"], 2),
        "audit_seconds": round(seconds, 2),
        "ratio": round(seconds / facts["seconds"], 3),
        "bar": BARS[plan],
        "images": rows,
        "forwards": {state: times.total() for state, times in tally.times.items()},
        "most": max(max(times.values()) for times in tally.times.values()),
        "threads": torch.get_num_threads(),
        "verdict": verdict,
    }


def audited(
    world: World, tally: "Tally", before: nn.Module, after: nn.Module, *, full: bool
) -> tuple[float, str, int]:
    """Tier 0 under a tally: seconds, the verdict, and how many images there are to read."""
    images = world.images
    counted = Samples(tally, images.samples.labels, images.samples.index)
    seen = replace(world, images=replace(images, samples=counted))
    tally.watch("before", before)
    tally.watch("after", after)
    forget = world.forget(TARGET)
    began = perf_counter()
    plan = seen.plan(forget, full=full)
    judgement = judge(seen.read(before, after, forget, plan=plan), tier=0)
    return perf_counter() - began, judgement.verdict.value, len(plan.rows)


@dataclass
class Tally:
    """Pixels that know which rows were fetched last, and count them for the net that is shown them."""

    far: ClassVar[bool] = False
    pixels: Pixels
    times: dict[str, Counter[int]] = field(default_factory=dict)
    """By state of a model, how often each row went through it."""
    _last: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        return self.pixels.shape

    def gather(self, rows: Tensor) -> Tensor:
        """(B,) rows -> (B, H, W, C) uint8."""
        self._last = rows
        return self.pixels.gather(rows)

    def watch(self, name: str, model: nn.Module) -> None:
        """Count what goes through this net, and through copies of it, which are other states.

        `statistics` is the pass from which a copy takes its BatchNorm statistics.
        """

        def count(shown: nn.Module, inputs: tuple[Any, ...]) -> None:
            learning = any(layer.training for layer in norms(shown))
            copied = "statistics" if learning else "recalibrated"
            state = name if shown is model else copied
            assert self._last is not None
            assert len(self._last) == len(inputs[0])
            self.times.setdefault(state, Counter()).update(self._last.tolist())

        model.register_forward_pre_hook(count)
