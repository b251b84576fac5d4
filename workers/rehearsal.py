"""A rehearsal of forgetting, and how well it went.

What is rehearsed is a request that nobody has made: a class, or some samples, of the training
data. Nothing is looked at but training data and images that no training has seen; never a test
split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workers.evidence import Scores
from workers.kinds import Given, Samples
from workers.scoring import proportionate, recalibrated, score
from workers.signals import correct, loss
from workers.statistics import auc

KEPT = 0.1
"""Share of the retained images that the method is not shown, to see what it does to them."""
LOOKED_AT = 5000
"""Images of a part that are scored at the most."""
FRESH = 2000
"""Retain images by which BatchNorm statistics are estimated anew."""

Figures = Mapping[str, float]
"""Of a net that has rehearsed, shares in [0, 1]. Those without anything to measure are absent.

`forget`: accuracy on the forget set. `forget_fresh`: likewise, once BatchNorm statistics are
estimated anew. `retain`: accuracy on retained images that the method was not shown. `unseen`:
accuracy on never-trained images of the classes that stay. `membership`: the chance that a forgotten
image has a smaller loss than a never-trained one of its class.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What is forgotten for a try, and what is looked at afterwards."""

    forget: Samples
    retain: Samples
    """What the method may learn from."""
    kept: Samples
    """Retained images that it is not shown."""
    unseen: Samples
    """Never trained on; may be empty."""
    seed: int


# ---- what is rehearsed ---------------------------------------------------------------------------


def rehearsal(
    training: Samples,
    unseen: Samples,
    *,
    label: int | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Rehearsal:
    """Draw a forget set, and part the rest; `seed` decides.

    Args:
        training: what the net was trained on and still knows.
        unseen: never trained on, and in no test split. May be empty for a class.
        label: forget this class. size: or so many samples.

    Raises:
        ValueError: there is nothing to forget or to keep, or samples have nothing to be like.
    """
    chance = torch.Generator().manual_seed(seed)
    targets = training.targets.cpu()
    if label is not None:
        gone = targets == label
    else:
        gone = torch.zeros_like(targets, dtype=torch.bool)
        gone[torch.randperm(len(targets), generator=chance)[: size or 0]] = True
        if not len(unseen):
            raise ValueError(
                "How well samples are forgotten shows beside images that were never trained on: "
                "import the dataset with a hold-out, or tune for a class."
            )
    rest = (~gone).nonzero().flatten()
    if not gone.any() or len(rest) < 2:
        raise ValueError("There must be images to forget and images to keep.")
    rest = rest[torch.randperm(len(rest), generator=chance)]
    aside = max(1, round(KEPT * len(rest)))
    return Rehearsal(
        forget=_taken(training, gone.nonzero().flatten()),
        retain=_taken(training, rest[aside:].sort().values),
        kept=_taken(training, rest[:aside].sort().values),
        unseen=unseen,
        seed=seed,
    )


def _taken(samples: Samples, which: Tensor) -> Samples:
    return samples.take(which.to(samples.index.device))


def given(asked: Given, rehearsed: Rehearsal) -> Given:
    """What a method is given to rehearse: as `asked`, with the sets of the rehearsal."""
    return replace(
        asked,
        forget=rehearsed.forget,
        retain=rehearsed.retain,
        holdout=rehearsed.unseen,
        rng=torch.Generator().manual_seed(rehearsed.seed),
    )


# ---- how good it is ------------------------------------------------------------------------------


def figures(net: nn.Module, rehearsed: Rehearsal, precision: str = "bf16") -> Figures:
    """Look at a net that has forgotten, or never saw, the forget set of a rehearsal."""
    gone, unseen = _scored(net, rehearsed.forget, precision), None
    found = {"forget": _accuracy(gone)}
    fresh = recalibrated(net, _some(rehearsed.retain, FRESH), precision=precision)
    if fresh is not None:
        found["forget_fresh"] = _accuracy(_scored(fresh, rehearsed.forget, precision))
    found["retain"] = _accuracy(_scored(net, rehearsed.kept, precision))
    if len(rehearsed.unseen):
        unseen = _scored(net, rehearsed.unseen, precision)
        stays = torch.isin(unseen.labels, rehearsed.retain.targets.cpu())
        if stays.any():
            found["unseen"] = _accuracy(unseen.of(unseen.rows[stays]))
        gone = gone.of(gone.rows[torch.isin(gone.labels, unseen.labels)])
        if len(gone.rows):
            labels = gone.labels.numpy(), unseen.labels.numpy()
            found["membership"] = auc(-loss(gone), -loss(unseen), *labels).value
    return found


def target(
    original: nn.Module,
    rehearsed: Rehearsal,
    references: Sequence[nn.Module] = (),
    precision: str = "bf16",
) -> Figures:
    """What the figures should come to: the mean of nets that were trained without the forget set.

    Where there is none, what is known of such nets: they keep and recognise what the original does;
    a class that is gone is recognised by none, and single images no better than unseen ones; and
    forgotten images cannot be told from unseen ones.
    """
    if references:
        seen = [figures(net, rehearsed, precision) for net in references]
        return {name: sum(each[name] for each in seen) / len(seen) for name in seen[0]}
    found = dict(figures(original, rehearsed, precision))
    stays = bool(torch.isin(rehearsed.forget.targets, rehearsed.retain.targets).all())
    known = {
        "forget": found["unseen"] if stays else 0.0,
        "forget_fresh": found["unseen"] if stays else 0.0,
        "membership": 0.5,
    }
    return found | {name: value for name, value in known.items() if name in found}


def gap(found: Figures, wanted: Figures) -> float:
    """The mean distance of forgetting, retaining, generality and membership from their targets.

    Of the two figures of the forget set the worse counts: what comes back with fresh BatchNorm
    statistics was not forgotten.

    Source: the average gap to a retrained net of Jia, Liu et al., NeurIPS 2023, arXiv:2304.04934.
    Ours: the fresh statistics, and the area under a membership attack against images of the same
    class in place of the share that an attack trained across classes takes for unseen.
    """
    off = {name: abs(found[name] - wanted[name]) for name in wanted}
    if "forget_fresh" in off:
        off["forget"] = max(off["forget"], off.pop("forget_fresh"))
    return sum(off.values()) / len(off)


def _scored(net: nn.Module, samples: Samples, precision: str) -> Scores:
    return score(net, _some(samples, LOOKED_AT), precision=precision)


def _some(samples: Samples, size: int) -> Samples:
    rows = proportionate(samples.index.cpu(), samples.labels.cpu(), size, seed=0)
    return replace(samples, index=rows.to(samples.index.device))


def _accuracy(scores: Scores) -> float:
    return float(correct(scores).mean())
