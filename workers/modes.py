"""Precision, evaluation mode, chance and BatchNorm: the states in which a net can be used."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from workers.kinds import RECALIBRATION, Samples
from workers.retain_norm import normalised

BatchNorm = Literal["retain", "frozen", "train", "recalibrate"]
"""By what BatchNorm normalises a batch while a method learns, and what it keeps.

`retain`: by the retain images of the batch, the forgotten ones too; estimated anew on retain images
at the end. So nothing can be forgotten by moving statistics, which would come back with the next
estimate. A batch without retain images is normalised as if `frozen`.
`frozen`: by the statistics of the original, which stay.
`train`: by the whole batch, which moves the statistics. `recalibrate`: likewise, and estimated anew
on retain images at the end.
"""


# ---- precision and modes -----------------------------------------------------------------------


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """`bf16`: matrix products and convolutions in bfloat16; `fp32`: as the weights are."""
    if precision not in {"bf16", "fp32"}:
        raise ValueError(f"There is no precision {precision!r}; take bf16 or fp32.")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def full(logits: Tensor) -> Tensor:
    """Logits in at least float32, so that a loss is never computed in bfloat16."""
    return logits.float() if logits.dtype in {torch.bfloat16, torch.float16} else logits


def dtype_of(model: nn.Module) -> torch.dtype:
    """The type of the weights, and so of the images that go in."""
    return next(model.parameters()).dtype


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients of weights; everything is as it was afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    model.eval()
    model.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for weight in trained:
            weight.requires_grad_()


@contextmanager
def chance(device: torch.device, seed: int) -> Iterator[None]:
    """Layers that draw from the global generator draw what `seed` says, and leave no trace."""
    # Not `torch.manual_seed`: for every kind of device that is not there it writes down the stack,
    # which takes as long as a small net's forward pass.
    generators = [torch.default_generator]
    if device.type == "cuda":
        number = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[number])
    kept = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, kept, strict=True):
            generator.set_state(state)


# ---- BatchNorm ---------------------------------------------------------------------------------


def norms(model: nn.Module) -> list[_BatchNorm]:
    """All BatchNorm layers that keep running statistics."""
    return [
        part
        for part in model.modules()
        if isinstance(part, _BatchNorm) and part.running_mean is not None
    ]


def has_batchnorm(model: nn.Module) -> bool:
    """Does any layer keep running statistics?"""
    return bool(norms(model))


@torch.no_grad()
def recalibrate(
    model: nn.Module, samples: Samples, batch_size: int = 500, precision: str = "fp32"
) -> None:
    """Estimate BatchNorm statistics anew, in place: the plain mean over batches of `samples`.

    Every batch takes images from all over `samples`, whatever their order. Weights stay.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018, section 3.2.

    Raises:
        ValueError: fewer than two images have no variance.
    """
    if len(samples) < 2:
        raise ValueError("BatchNorm statistics need at least two images to be estimated from.")
    layers, parts = norms(model), min(ceil(len(samples) / batch_size), len(samples) // 2)
    momenta, kind = [layer.momentum for layer in layers], dtype_of(model)
    with frozen(model):
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
        for part in range(parts):
            which = torch.arange(part, len(samples), parts, device=samples.index.device)
            images = samples.at(which)[0].to(kind)
            with autocast(images.device, precision):
                model(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def settle(
    model: nn.Module, policy: BatchNorm, retain: Samples, rng: torch.Generator, precision: str
) -> None:
    """Carry out the end of the policies `retain` and `recalibrate`, on at most 5,000 images.

    Raises:
        ValueError: `recalibrate` has fewer than two retain images to estimate from.
    """
    wanted = policy == "recalibrate" or (policy == "retain" and len(retain) > 1)
    if wanted and has_batchnorm(model):
        chosen = torch.randperm(len(retain), generator=rng)[:RECALIBRATION]
        recalibrate(model, retain.take(chosen.to(retain.index.device)), precision=precision)


@contextmanager
def normalised_by(model: nn.Module, first: int, count: int) -> Iterator[None]:
    """BatchNorm takes the images from `first` on, of `count`, for the statistics of all.

    Fewer than two have no variance: then the running statistics serve.
    """
    layers = norms(model) if count - first > 1 else []
    for layer in layers:
        layer.__dict__["forward"] = partial(
            normalised, weight=layer.weight, bias=layer.bias, first=first, eps=layer.eps
        )
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]
