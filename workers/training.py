"""The one loop: batches from the device, autocast, SGD, BatchNorm policy, places to resume.

Where several processes share a run (`team`), each learns from its part of a batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from workers import team
from workers.batches import Batch, Feed
from workers.kinds import Recipe, Samples, State, Step, Steps
from workers.modes import BatchNorm, autocast, chance, dtype_of, full, normalised_by, norms
from workers.schedules import rate


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run is when a method adds its own to a step."""

    epoch: int
    """From 0."""
    epochs: int
    rate: float
    """The learning rate of this step."""
    weights: Sequence[nn.Parameter]
    """What is being trained."""
    which: Tensor
    """(m,) int64: positions within the main set of the images of this step."""


Forward = Callable[[Tensor], Tensor]
"""Images composed as those of the batch, (B, C, H, W) -> logits (B, K), as the run computes."""
Loss = Callable[[Forward, Batch], Tensor]
"""What a run makes small, for one batch."""


def learn(forward: Forward, batch: Batch) -> Tensor:
    """The mean cross-entropy of the labels of a batch."""
    return cross_entropy(forward(batch.images), batch.labels)


def loop(
    model: nn.Module,
    feed: Feed,
    recipe: Recipe,
    *,
    rng: torch.Generator,
    precision: str,
    resume: State | None = None,
    batchnorm: BatchNorm = "train",
    only: Sequence[nn.Parameter] | None = None,
    loss: Loss = learn,
    until: Callable[[Tensor], bool] | None = None,
    before: Callable[[Moment], None] | None = None,
    after: Callable[[Moment], None] | None = None,
) -> Steps:
    """Train `model` in place by SGD with momentum; resumable after each epoch.

    Compute is in `precision`; weights, momentum, BatchNorm statistics and the loss are float32
    (or the type of the weights). The net ends in evaluation mode.

    Args:
        only: the parameters to train; None for all that require a gradient.
        until: asked with the loss of each batch before it is used; a yes ends the run there.
        before: called when the gradients are there and have not been used.
        after: called when the optimiser has made its step.
    """
    weights = [*only] if only is not None else [p for p in model.parameters() if p.requires_grad]
    optimiser = SGD(
        weights,
        recipe.learning_rate,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    begun = _restore(model, optimiser, rng, resume) if resume is not None else 0
    total = feed.total(recipe)
    _set_mode(model, batchnorm)
    for place, batch in feed.walk(recipe, rng, begun):
        pace = rate(recipe, place.done, total)
        moment = Moment(place.epoch, recipe.epochs, pace, weights, batch.which)
        mine = team.share(batch)
        value = loss(_forward(model, mine, batchnorm, precision), mine)
        lost = team.mean(value.detach())
        ends = until is not None and until(lost)
        if not ends:
            _update(optimiser, value, moment, before, after)
            team.average_statistics(model)
        finished = recipe.epochs if ends else place.epoch + 1
        yield Step(
            done=place.done + 1,
            total=place.done + 1 if ends else total,
            epoch=place.epoch + 1,
            epochs=recipe.epochs,
            loss=lost,
            state=_saver(model, optimiser, rng, finished) if place.last or ends else None,
        )
        if ends:
            break
    model.eval()


def _forward(model: nn.Module, batch: Batch, batchnorm: BatchNorm, precision: str) -> Forward:
    retain = len(batch.which) if batchnorm == "retain" else len(batch.images)

    def forward(images: Tensor) -> Tensor:
        with (
            chance(images.device, batch.seed),
            normalised_by(model, retain, len(images)),
            autocast(images.device, precision),
        ):
            logits = model(images.to(dtype_of(model)))
        return full(logits)

    return forward


def _update(
    optimiser: SGD,
    loss: Tensor,
    moment: Moment,
    before: Callable[[Moment], None] | None,
    after: Callable[[Moment], None] | None,
) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    team.average(moment.weights)
    if before is not None:
        before(moment)
    optimiser.param_groups[0]["lr"] = moment.rate
    optimiser.step()
    if after is not None:
        after(moment)


def _set_mode(model: nn.Module, batchnorm: BatchNorm) -> None:
    model.train()
    for layer in norms(model):
        layer.train(batchnorm in {"train", "recalibrate"})


# ---- places to resume --------------------------------------------------------------------------


def _saver(
    model: nn.Module, optimiser: SGD, rng: torch.Generator, epoch: int
) -> Callable[[], State]:
    """What, called before the next step, gives the state after `epoch` epochs."""

    def save() -> State:
        state: State = {"epoch": epoch, "rng": rng.get_state()}
        for name, tensor in model.state_dict().items():
            state[f"model.{name}"] = tensor.detach().clone()
        for number, weight in enumerate(optimiser.param_groups[0]["params"]):
            momentum = optimiser.state[weight].get("momentum_buffer")
            if momentum is not None:
                state[f"momentum.{number}"] = momentum.clone()
        return state

    return save


def _restore(model: nn.Module, optimiser: SGD, rng: torch.Generator, state: State) -> int:
    """Put everything back as it was; how many epochs are done."""
    kept = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    start = "model."
    model.load_state_dict(
        {name.removeprefix(start): value for name, value in kept.items() if name.startswith(start)}
    )
    for number, weight in enumerate(optimiser.param_groups[0]["params"]):
        if f"momentum.{number}" in kept:
            # In the weight's own memory layout: the fused update walks both side by side.
            momentum = torch.zeros_like(weight).copy_(kept[f"momentum.{number}"])
            optimiser.state[weight]["momentum_buffer"] = momentum
    rng.set_state(kept["rng"].cpu())
    return int(state["epoch"])


# ---- by a recipe -------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    rng: torch.Generator,
    precision: str = "bf16",
    resume: State | None = None,
    after: Callable[[Moment], None] | None = None,
) -> Steps:
    """Train a net by a recipe, as training jobs and `retrain` do."""
    feed = Feed(main=samples, augment=recipe.augment)
    yield from loop(model, feed, recipe, rng=rng, precision=precision, resume=resume, after=after)
