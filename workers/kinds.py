"""The nouns of unlearning: pixels, samples, steps, recipes, methods. Torch only."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import zip_longest
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

RECALIBRATION = 5000
"""Images on which BatchNorm statistics are estimated anew."""

State = dict[str, Tensor | int | float]
"""What a run needs to go on after a crash: tensors and numbers, nothing else."""


class Pixels(Protocol):
    """Where images lie: on the device, in a memory-mapped file, or further away."""

    far: ClassVar[bool]
    """Is a batch put together elsewhere, so that it pays to say beforehand what is wanted?"""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        ...

    def expect(self, rows: Tensor) -> None:
        """(B,) int64: what `gather` is going to be asked for next."""
        ...

    def gather(self, rows: Tensor) -> Tensor:
        """(B,) int64 rows -> (B, H, W, C) uint8 on the compute device, in the order asked."""
        ...


@dataclass(frozen=True, slots=True)
class Samples:
    """Some rows of a dataset, named by index: no pixel is copied until a batch is asked for."""

    pixels: Pixels
    labels: Tensor
    """(N,) int64 on the compute device: the labels of *all* rows of the dataset."""
    index: Tensor
    """(n,) int64 on the compute device: the rows that are ours."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def targets(self) -> Tensor:
        """(n,) int64: our labels, in our order."""
        return self.labels[self.index]

    def at(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Positions within ours, (B,) int64 -> images (B, C, H, W) in [0, 1], labels (B,).

        The images are float32 in channels_last memory order; normalisation is the net's business.
        """
        rows = self.index[which]
        return as_images(self.pixels.gather(rows)), self.labels[rows]

    def take(self, which: Tensor) -> "Samples":
        """The subset at these positions within ours, (m,) int64 or a (n,) bool mask."""
        return Samples(self.pixels, self.labels, self.index[which])

    def expect(self, which: Tensor) -> None:
        """`at` will be asked for these positions next, (B,) int64."""
        if self.pixels.far:
            self.pixels.expect(self.index[which.to(self.index.device)])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All of ours in order, `size` at a time; the last batch may be smaller."""
        parts = torch.arange(len(self), device=self.index.device).split(size)
        for which, following in zip_longest(parts, parts[1:]):
            batch = self.at(which)
            if following is not None:
                self.expect(following)
            yield batch


def as_images(raw: Tensor) -> Tensor:
    """(B, H, W, C) uint8 -> (B, C, H, W) float32 in [0, 1], channels_last."""
    return raw.permute(0, 3, 1, 2).float().div_(255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A sign of life from inside a loop. `loss` stays on its device until somebody reads it."""

    done: int
    total: int
    epoch: int = 0
    """The epoch this step belongs to, from 1; 0 when the method has no epochs."""
    epochs: int = 0
    loss: Tensor | None = None
    state: Callable[[], State] | None = None
    """At a point where the run can be resumed: call it for what `Given.resume` will need."""


Steps = Iterator[Step]

Space = Mapping[str, Sequence[float | str]]
"""Fields of a method, and for each the values that are worth a try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Everything a method may look at. It never sees test data."""

    forget: Samples
    retain: Samples
    """Training data without anything that was ever forgotten. May be empty."""
    holdout: Samples
    """Never trained on. May be empty."""
    classes: int
    fresh: Callable[[int], nn.Module]
    """A new, untrained net on the compute device; the seed decides its weights."""
    recipe: "Recipe | None" = None
    """How the original was trained, when that is known."""
    updates: Mapping[str, Tensor] | None = None
    """The training log of a model trained with `--log-updates` (amnesiac unlearning)."""
    rng: torch.Generator = field(default_factory=torch.Generator)
    """On the CPU; the only source of chance."""
    precision: str = "bf16"
    """`bf16`: autocast with float32 master weights; `fp32`: parity profile."""
    resume: State | None = None
    prepared: State | None = None
    """What the method's `prepare` found, where it has been asked already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model was trained, so that `retrain` can do the same again."""

    epochs: int = 25
    batch_size: int = 128
    learning_rate: float = 0.15
    """The peak, where the schedule has one."""
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "one_cycle"
    """`one_cycle`, `cosine` (to zero) or `constant`."""
    warmup: float = 0.25
    """Share of the steps spent climbing to the peak (`one_cycle`, `cosine`)."""
    augment: str = "none"
    """`none` or `crop_flip` (pad 4, random crop, horizontal flip)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a method costs, in images, as arithmetic that is worked out where there is no torch.

    It may name the method's fields that are numbers, `forget` and `retain` (the sizes of the sets),
    `unseen` (test and held-out images), `classes` (how many there are), and the recipe's fields with `recipe_` in front, under + - * /,
    `min`, `max` and `ceil`.
    """

    trained: str = "0"
    """Images that go forward and backward."""
    forwards: str = "0"
    """Images that only go forward; the gradient of an image counts as two."""
    batch: str = "128"
    """Images at once."""


class Method(ABC):
    """A way to forget. Subclasses are frozen dataclasses whose fields are hyper-parameters.

    One file holds one method, and the name of the file is the name of the method. The class
    docstring is shown to users: it says what is promised and cites where it comes from.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
    }
    designed_for: ClassVar[frozenset[str]] = frozenset({"class", "samples"})
    """The targets that the source designed it for; on others it runs, flagged."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of `retain`, `recipe`, `updates`: what must be at hand, or the request is refused."""
    exact: ClassVar[bool] = False
    """True only where the result never saw the forget set."""
    space: ClassVar[Space] = {}
    """The values of fields among which `lethe tune` looks; nothing is tuned where there are none."""

    @classmethod
    def cost(cls) -> Cost:
        """What a run costs, by the fields that methods share; one that does more says so itself.

        `epochs` (at least `steps` updates) over the retain set where it is needed, else over the
        forget set, with `retain_share` retain images beside it, by which BatchNorm is settled.
        """
        known = {each.name for each in fields(cls)}  # type: ignore[arg-type] # all are dataclasses
        if "recipe" in cls.needs:
            return Cost(trained="recipe_epochs * retain", batch="recipe_batch_size")
        main = "retain" if "retain" in cls.needs else "forget"
        batch = "batch_size" if "batch_size" in known else Cost().batch
        passes = "epochs" if "epochs" in known else "1"
        if "steps" in known:
            passes = f"max({passes}, ceil(steps / max(1, ceil({main} / {batch}))))"
        share = "retain_share * min(1, retain)" if "retain_share" in known else "0"
        return Cost(
            trained=f"{passes} * ({main} + {share} * max({main}, {batch}))",
            forwards=f"min(1, {share}) * min(retain, {RECALIBRATION})",
            batch=f"{batch} * (1 + {share})",
        )

    @abstractmethod
    def unlearn(self, model: nn.Module, given: Given) -> Steps:
        """Change `model` in place, yielding a `Step` now and then.

        Whoever drives the generator may close it at any step; the model is then thrown away.
        A method never prints, never touches the disk, and draws every random number from
        `given.rng`, so that a seed decides the result. Resumed from the state of any step (on
        the base model, with a generator of the same seed), it ends with the same bytes.
        """

    def prepare(self, model: nn.Module, given: Given) -> State:
        """What a run works out on the base model before it begins; `model` stays as it is.

        Whoever asks hands the answer back in `Given.prepared`, so that it is worked out once.
        Under `neighbours`, (n,) int64, is the label that each forgotten sample is pushed towards,
        where the method chooses one, and under `flipped` the share of them that the search took
        across a boundary: the audit wants to know both.
        """
        del model, given
        return {}
