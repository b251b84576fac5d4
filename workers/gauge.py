"""What a net costs on this device: its operations, counted, and its pace, taken in a few steps."""

import logging
from dataclasses import asdict
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from models_store import crew, forecast
from models_store.costs import GIGA, Gauge
from models_store.rungs import Subject
from workers import scoring, shelf, training
from workers.bench import Bench
from workers.data.pixels import Resident
from workers.kinds import Recipe, Samples

log = logging.getLogger("lethe.worker")

AUDITED = f"forget + min(retain, {scoring.SAMPLED}) + unseen"
AUDIT = (
    f"(2 - scored) * ({AUDITED})"
    f" + min(forget, {scoring.AGAIN}) + min(retain, {scoring.RECALIBRATION})"
)
"""Images that an audit passes forward: before, after, and once more with fresh statistics."""
STEPS = 5
"""Steps of which the pace is the median; the first pays for kernels and buffers."""
BATCH = 64
ROOM = 2**28
"""Bytes of activations that a step may take; larger images come in smaller batches."""


def begin(bench: Bench) -> None:
    """What a worker knows before it has measured a net."""
    if not bench.rates:
        bench.rates = {"idle_bytes": bench.peak_memory(0), "audit": AUDIT, "nets": {}}


def measure(bench: Bench, subject: Subject) -> bool:
    """Measure the model's net on this device, unless that has been done; whether it was new."""
    begin(bench)
    net = forecast.net_of(subject)
    if net in bench.rates["nets"]:
        return False
    bench.rates["nets"][net] = asdict(_gauged(bench, subject))
    return True


def gauge(bench: Bench, subject: Subject) -> None:
    """Measure the net of a model that came after the warm-up, and write down what was found.

    A net that cannot be measured has no price; that is no reason to fail a job.
    """
    try:
        new = measure(bench, subject)
    except Exception:
        log.exception("the net of %s cannot be measured: its jobs have no forecast", subject.name)
        return
    if new:
        with bench.store.begin() as db:
            crew.tell(db, bench.name, bench.rates)


def _gauged(bench: Bench, subject: Subject) -> Gauge:
    counted = count(subject)
    batch = max(2, min(BATCH, ROOM // (4 * counted["activations"])))
    net, samples = bench.net(subject), _blank(bench, subject, batch)
    seconds, forward = _steps(bench, net, samples), _forward(bench, net, samples)
    return Gauge(
        **counted,
        training_rate=GIGA * seconds / (batch * counted["training_macs"]),
        forward_rate=GIGA * forward / (batch * counted["forward_macs"]),
    )


def count(subject: Subject) -> dict[str, int]:
    """Multiply-accumulates, weights and activations of one image, on tensors without bytes.

    Convolutions and matrix products count, as `torch.utils.flop_counter` has them.
    """
    height, width, channels = subject.shape
    with torch.device("meta"):
        net = shelf.build(
            subject.architecture,
            subject.parameters,
            classes=len(subject.class_names),
            shape=(height, width, channels),
            mean=subject.mean,
            std=subject.std,
            seed=0,
        ).eval()
        image = torch.empty(1, channels, height, width)
    outputs: list[int] = []
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.register_forward_hook(lambda _net, _given, out: outputs.append(out.numel()))
    with FlopCounterMode(display=False) as there:
        logits: Tensor = net(image)
    with FlopCounterMode(display=False) as back:
        logits.sum().backward()
    forward, backward = there.get_total_flops() // 2, back.get_total_flops() // 2
    return {
        "forward_macs": forward,
        "training_macs": forward + backward,
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "activations": sum(outputs),
    }


def _blank(bench: Bench, subject: Subject, batch: int) -> Samples:
    """As many black images of the model's shape."""
    pixels = torch.zeros(batch, *subject.shape, dtype=torch.uint8, device=bench.device)
    rows = torch.arange(batch, device=bench.device)
    return Samples(Resident(pixels), rows % len(subject.class_names), rows)


def _steps(bench: Bench, net: nn.Module, samples: Samples) -> float:
    """Seconds of a training step on all of these."""
    recipe = Recipe(epochs=STEPS, batch_size=len(samples), schedule="constant", learning_rate=1e-3)
    taken, since = [], perf_counter()
    for _ in training.fit(net, samples, recipe, rng=torch.Generator(), precision=bench.precision):
        bench.settle()
        taken.append(perf_counter() - since)
        since = perf_counter()
    return median(taken[1:])


def _forward(bench: Bench, net: nn.Module, samples: Samples) -> float:
    """Seconds of a scoring pass over all of these."""
    taken = []
    for _ in range(STEPS):
        since = perf_counter()
        scoring.score(net, samples, precision=bench.precision)
        taken.append(perf_counter() - since)
    return median(taken[1:])
