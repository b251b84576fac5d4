"""What a job will take: counted operations, times what recent jobs took for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from models_store.costs import Gauge, Work

WINDOW = 9
"""So many recent jobs decide, by their median: one that ran beside others changes nothing."""
FIRST_SECONDS = 1.0
"""What a job costs beside its operations, until the first one has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a rung is expected to cost on a device."""

    seconds: float
    """From the first byte read until the version is ready to be published."""
    unlearning_seconds: float
    """Of the method alone."""
    peak_memory_bytes: int
    """Of the device where it has its own memory, else of the worker process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A job that has ended: what was counted before it, and what it took."""

    net: str
    method: str
    unlearning: float
    auditing: float
    memory_bytes: float
    unlearning_seconds: float
    seconds: float
    peak_memory_bytes: float


def price(
    work: Work, method: str, net: str, gauge: Gauge, idle_bytes: float, past: Sequence[Past]
) -> Price:
    """Fixed costs plus rate times work, each the median of recent jobs, newest first.

    Jobs of the same method on the same net decide, else those of any method on it, else what the
    worker measured when it warmed up. The fixed part is what they took beside their operations.
    """
    on_net = [each for each in past if each.net == net]
    like = [each for each in on_net if each.method == method] or on_net
    rates = [each.unlearning_seconds / each.unlearning for each in like if each.unlearning]
    rest = [
        each.seconds - each.unlearning_seconds - each.auditing * gauge.forward_rate for each in like
    ]
    held = [each.peak_memory_bytes - each.memory_bytes for each in like]
    unlearning = work.unlearning * median(rates[:WINDOW]) if rates else work.unlearning_seconds
    beside = work.auditing * gauge.forward_rate + median(rest[:WINDOW] or [FIRST_SECONDS])
    return Price(
        seconds=round(unlearning + max(0.0, beside), 3),
        unlearning_seconds=round(unlearning, 3),
        peak_memory_bytes=round(work.memory_bytes + median(held[:WINDOW] or [idle_bytes])),
    )
