"""One forward pass for each sample and state of a model: which rows, their scores, their blob."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from workers.evidence import Scores
from workers.folding import folded
from workers.heads import head
from workers.kinds import Samples
from workers.modes import autocast, frozen, has_batchnorm, recalibrate

MEDIA = "application/vnd.lethe.scores"
SAMPLED = 5000
RECALIBRATION = 2000
AGAIN = 2000
"""Forgotten rows that a quick audit scores once more: enough to tell 10 % from 8 or 12."""
UNSCORED = ("recalibration", "kept")
"""Parts of a plan of which the model's outputs are not asked for."""
BATCH = {"cpu": 128}
"""Images to a batch by kind of device, `LARGE` elsewhere; on a CPU, batches that fit the cache
were measured a third faster."""
LARGE = 2048


# ---- which rows --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which rows an audit needs, and the parts they fall into; all on the CPU."""

    parts: dict[str, Tensor]
    """As `Evidence.parts` wants them: `forget` in the order given, the others ascending."""
    rows: Tensor
    """The union to score, each row once."""
    again: Tensor
    """Rows of the forget set to score once more with re-estimated BatchNorm statistics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The rows of a dataset by what they are to a version, (m,) int64 each."""

    forget: Tensor
    retain: Tensor
    """Training data without anything that was ever forgotten."""
    test: Tensor
    holdout: Tensor
    """Reserved when the dataset was imported, and outside of what the model was trained on."""


def plan(
    split: Split,
    labels: Tensor,
    forgotten_classes: Sequence[int],
    *,
    full: bool = False,
    seed: int = 0,
) -> Plan:
    """Choose what to score: all of D_f, everything never trained on, and some or all of D_r.

    The quick choice takes 5,000 of D_r, classes in proportion. It hangs on `seed` and the row
    numbers alone, so that the next version of the model is asked about nearly the same images
    and most of its "before" has been read already. With fresh BatchNorm statistics it asks about
    2,000 of D_f.

    Args:
        split: the rows; labels: (N,) int64 of all rows of the dataset.
        forgotten_classes: classes of which no training data is left.
        full: score all of D_r, and all of D_f with fresh statistics too.
        seed: decides the choice; keep it for all versions of a model.
    """
    labels, gone = labels.cpu(), torch.tensor(list(forgotten_classes), dtype=torch.int64)
    forget = split.forget.cpu()
    retain, test, holdout = (
        part.cpu().sort().values for part in (split.retain, split.test, split.holdout)
    )
    unseen = test if len(test) else holdout
    of_gone = torch.isin(labels[unseen], gone)
    parts = {
        "forget": forget,
        "retain": retain if full else proportionate(retain, labels, SAMPLED, seed),
        "forget_test": unseen[of_gone],
        "retain_test": unseen[~of_gone],
        "nonmembers": holdout if len(holdout) else test,
        "recalibration": proportionate(retain, labels, RECALIBRATION, seed),
        "kept": retain,
    }
    scored = [rows for part, rows in parts.items() if part not in UNSCORED]
    again = forget if full else proportionate(forget, labels, AGAIN, seed)
    return Plan(parts=parts, rows=torch.cat(scored).unique(), again=again)


def proportionate(rows: Tensor, labels: Tensor, size: int, seed: int) -> Tensor:
    """About `size` of these rows, each class in proportion, ascending; all of them if fewer.

    Every row of the dataset has a fixed place in a random queue; each class sends its first
    ones. So a row that leaves makes room for one other, and a smaller size gives a subset.
    """
    if len(rows) <= size:
        return rows
    queue = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[rows]
    by_class = labels[rows]
    order = queue.argsort()
    order = order[by_class[order].argsort(stable=True)]
    sizes = torch.bincount(by_class)
    starts = sizes.cumsum(0) - sizes
    rank = torch.arange(len(rows)) - starts[by_class[order]]
    share = (rank + 0.5) / sizes[by_class[order]]
    first = order[share.argsort(stable=True)[:size]]
    return rows[first].sort().values


# ---- scores ------------------------------------------------------------------------------------


def score(
    model: nn.Module,
    samples: Samples,
    *,
    known: Scores | None = None,
    precision: str = "bf16",
    batch_size: int | None = None,
) -> Scores:
    """The logits and features of every distinct row of `samples`, by at most one forward each.

    Rows that `known` has (the blob of this version, read) are not computed again. The model is
    put in evaluation mode and left as it was found.

    Args:
        known: scores of the same model state, for any rows.
        precision: `bf16` or `fp32`, as in `Given`.
        batch_size: images to a forward; None for what suits the device.

    Raises:
        ValueError: if there is nothing to score.
    """
    wanted = samples.index.unique()
    rows = wanted.cpu()
    if not len(rows):
        raise ValueError("There are no rows to score; leave the pass out.")
    missing = torch.ones_like(rows, dtype=torch.bool)
    if known is not None:
        missing = ~torch.isin(rows, known.rows)
        if not missing.any():
            return known.of(rows)
    ours = Samples(samples.pixels, samples.labels, wanted[missing.to(wanted.device)])
    size = batch_size or BATCH.get(wanted.device.type, LARGE)
    fresh = _forward(model, ours, precision, size)
    return fresh if known is None else _merged(known, fresh).of(rows)


def recalibrated(
    model: nn.Module, samples: Samples, *, precision: str = "bf16", batch_size: int = 500
) -> nn.Module | None:
    """A copy whose BatchNorm statistics are re-estimated on `samples`.

    None where the model has no BatchNorm, or there are too few samples to estimate from.
    """
    if not has_batchnorm(model) or len(samples) < 2:
        return None
    twin = deepcopy(model)
    recalibrate(twin, samples, batch_size, precision)
    return twin


@torch.inference_mode()
def _forward(model: nn.Module, samples: Samples, precision: str, batch_size: int) -> Scores:
    """One pass. The last layer runs in full precision: rounded logits would hide their tails."""
    features: list[Tensor] = []
    logits: list[Tensor] = []

    def sharpen(layer: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        full = inputs[0].to(next(layer.parameters()).dtype)
        features.append((full.mean(dim=(2, 3)) if full.dim() == 4 else full.flatten(1)).half())
        with torch.autocast(full.device.type, enabled=False):
            exact: Tensor = layer.forward(full)
        return exact

    with frozen(model), folded(model):
        hook = head(model)[1].register_forward_hook(sharpen)
        try:
            for images, _ in samples.batches(batch_size):
                with autocast(images.device, precision):
                    logits.append(model(images).float())
        finally:
            hook.remove()
    return Scores(
        rows=samples.index.cpu(),
        logits=torch.cat(logits).cpu(),
        features=torch.cat(features).cpu(),
        labels=samples.targets.cpu(),
    )


def _merged(known: Scores, fresh: Scores) -> Scores:
    order = torch.cat([known.rows, fresh.rows]).argsort()
    return Scores(
        rows=torch.cat([known.rows, fresh.rows])[order],
        logits=torch.cat([known.logits, fresh.logits])[order],
        features=torch.cat([known.features, fresh.features])[order],
        labels=torch.cat([known.labels, fresh.labels])[order],
    )


# ---- the blob ----------------------------------------------------------------------------------


def dump_scores(scores: Scores) -> bytes:
    """Scores as safetensors; the same scores give the same bytes."""
    return save(
        {
            "rows": scores.rows.contiguous(),
            "logits": scores.logits.contiguous(),
            "features": scores.features.contiguous(),
            "labels": scores.labels.contiguous(),
        }
    )


def load_scores(data: bytes) -> Scores:
    """The scores that `dump_scores` wrote.

    Raises:
        KeyError: if a table is missing; safetensors' own error if the bytes are no safetensors.
    """
    tables = load(data)
    return Scores(
        rows=tables["rows"],
        logits=tables["logits"],
        features=tables["features"],
        labels=tables["labels"],
    )
