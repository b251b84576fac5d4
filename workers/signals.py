"""What can be read off a model's scores: margins, entropies, losses, and who is compared to whom."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workers.evidence import Evidence, Scores
from workers.statistics import Flags, Floats, Ints

NOTHING = torch.zeros(0, dtype=torch.int64)
BOUND = 1e4
"""Stands for an infinite logit. Integrity condemns such a model; the others must survive it."""


def clean(logits: Tensor) -> Tensor:
    """(n, K) logits -> float64, NaN as 0 and infinities as `BOUND`, so that every signal is finite."""
    return torch.nan_to_num(logits.double(), nan=0.0, posinf=BOUND, neginf=-BOUND)


def margin(scores: Scores) -> Floats:
    """The logit margin z_y - log sum_{k != y} exp z_k of the true label, in nats: (n,).

    It equals log(p_y / (1 - p_y)), but is taken from the logits: a rounded p hides the tails.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, eq. 3.
    """
    logits = clean(scores.logits)
    label = scores.labels[:, None]
    others = logits.scatter(1, label, -torch.inf).logsumexp(1)
    return _array(torch.nan_to_num(logits.gather(1, label)[:, 0] - others, posinf=BOUND))


def confidence(scores: Scores) -> Floats:
    """The softmax probability of the true label: (n,) in [0, 1]."""
    return _array(torch.sigmoid(torch.from_numpy(margin(scores))))


def loss(scores: Scores) -> Floats:
    """The cross-entropy -log p_y, in nats: (n,), never negative."""
    return np.logaddexp(0.0, -margin(scores))


def entropy(scores: Scores) -> Floats:
    """The entropy -sum_k p_k log p_k of the prediction, in nats: (n,) in [0, log K]."""
    log_p = clean(scores.logits).log_softmax(1)
    return _array(-(log_p.exp() * log_p).sum(1).clamp(max=0.0))


def modified_entropy(scores: Scores) -> Floats:
    """-(1 - p_y) log p_y - sum_{k != y} p_k log(1 - p_k), in nats: (n,), never negative.

    Low only where the model is sure *and* right. Each row stands alone: the form found in public
    unlearning code mixes the labels of a batch.

    Source: Song and Mittal, "Systematic Evaluation of Privacy Risks", USENIX Security 2021, eq. 8.
    """
    log_p = clean(scores.logits).log_softmax(1)
    p = log_p.exp()
    log_not = torch.log1p(-p.clamp(max=1 - 2.0**-53))
    label = scores.labels[:, None]
    rest = (p * log_not).scatter(1, label, 0.0).sum(1)
    return _array(-(-torch.expm1(log_p) * log_p).gather(1, label)[:, 0] - rest)


def probabilities(scores: Scores) -> Floats:
    """The softmax vector: (n, K)."""
    return _array(clean(scores.logits).softmax(1))


def predicted(scores: Scores) -> Ints:
    """The label with the largest of all K logits, forgotten classes included: (n,)."""
    guesses: Ints = clean(scores.logits).argmax(1).numpy()
    return guesses


def correct(scores: Scores) -> Flags:
    """Whether the prediction is the true label: (n,)."""
    right: Flags = predicted(scores) == scores.labels.numpy()
    return right


SIGNALS: Mapping[str, Callable[[Scores], Floats]] = {
    "loss": loss,
    "entropy": entropy,
    "margin": margin,
}
"""What is drawn as histograms."""


def _array(values: Tensor) -> Floats:
    array: Floats = values.double().numpy()
    return array


# ---- parts of the evidence ---------------------------------------------------------------------


def rows(evidence: Evidence, part: str) -> Tensor:
    """The dataset rows of a part, (m,) int64; none where the part does not exist."""
    return evidence.parts.get(part, NOTHING)


def both(evidence: Evidence, part: str | Tensor) -> tuple[Scores, Scores]:
    """The scores of a part (or of these rows) before and after."""
    chosen = rows(evidence, part) if isinstance(part, str) else part
    return evidence.before.of(chosen), evidence.after.of(chosen)


def retrained(evidence: Evidence, part: str | Tensor) -> list[Scores]:
    """The scores of a part (or of these rows) by each retrained model; none where there is none."""
    chosen = rows(evidence, part) if isinstance(part, str) else part
    return [retrain.scores.of(chosen) for retrain in evidence.retrains]


def labels(evidence: Evidence, chosen: Tensor) -> Tensor:
    """The true labels of scored rows, (m,) int64."""
    return evidence.after.of(chosen).labels


def within(evidence: Evidence, part: str, classes: Sequence[int], *, inside: bool = True) -> Tensor:
    """The rows of a part whose label is (or with `inside=False` is not) one of `classes`."""
    chosen = rows(evidence, part)
    among = torch.isin(labels(evidence, chosen), torch.tensor(list(classes), dtype=torch.int64))
    return chosen[among if inside else ~among]


def comparable(evidence: Evidence, members: Tensor) -> tuple[Tensor, Tensor]:
    """Members that have never-trained images of their class beside them, and those images.

    Comparing classes with each other measures their difficulty, not membership; so a member
    of a class without any non-member is left out.
    """
    others = rows(evidence, "nonmembers")
    theirs, ours = labels(evidence, others), labels(evidence, members)
    return members[torch.isin(ours, theirs)], others[torch.isin(theirs, ours)]


def rng(evidence: Evidence) -> np.random.Generator:
    """Chance for one audit, decided by the evidence's seed alone: the order of audits is nothing."""
    return np.random.default_rng(evidence.rng.initial_seed())


def counts(values: npt.NDArray[Any], size: int) -> list[int]:
    """How often each of 0 .. size-1 occurs, as JSON numbers."""
    return [int(n) for n in np.bincount(values, minlength=size)]
