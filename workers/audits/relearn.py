"""How soon does the class come back, when somebody trains on a few pictures of it?"""

from copy import deepcopy
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from workers.attacks import unanswered
from workers.batches import Feed
from workers.evidence import Audit, Evidence, Finding
from workers.kinds import Recipe, Samples
from workers.modes import frozen
from workers.retrained import LEAST, MISSING, placed
from workers.signals import rng, rows, within
from workers.training import loop

GATE = "A few images bring the class back no sooner than after retraining."


@dataclass(frozen=True, slots=True, kw_only=True)
class Relearn(Audit):
    """For forgotten classes: how soon copies of the nets learn them again from a few images.

    `images` never-trained images of the class, beside as many retain images, are trained on by
    plain SGD; the estimate is the mean accuracy on other never-trained images of the class over
    all `epochs`, so it counts how soon and how well. The details have the curves. A net that never
    saw the class takes long; one that only hides it is back after a step or two. It changes copies
    only, and is the same for all nets compared. A gate, at the values of retrained models.

    Source: Golatkar et al., "Eternal Sunshine of the Spotless Net", CVPR 2020 (relearn time);
    bands after Hahn and Meeker (1991).
    """

    tier: ClassVar[int] = 1
    images: Annotated[int, Ge(2)] = 50
    """Images of the class to learn from."""
    judged: Annotated[int, Ge(1)] = 200
    """Images of the class, at most, to be recognised after each epoch."""
    epochs: Annotated[int, Ge(1)] = 10
    """Times that the images are shown."""
    batch_size: Annotated[int, Ge(2)] = 20
    """Images of the class, and about as many others, to a step."""
    learning_rate: Annotated[float, Gt(0)] = 0.005
    """Of plain SGD with momentum 0.9."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding where a class was forgotten."""
        if evidence.goal == "none" or not evidence.forgotten_classes:
            return []
        gone = within(evidence, "nonmembers", evidence.forgotten_classes)
        reason = MISSING if len(evidence.retrains) < LEAST else ""
        if evidence.samples is None or not len(rows(evidence, "retain")):
            reason = "The pixels, or images to train beside, are not at hand."
        elif len(gone) < 2 * self.images:
            reason = "There are too few never-trained images of the class."
        if reason:
            return [unanswered("relearn", GATE, reason)]
        order = gone[torch.from_numpy(rng(evidence).permutation(len(gone)))]
        taught, judged = order[: self.images], order[self.images :][: self.judged]
        after, before, *others = (
            self._curve(evidence, net, taught, judged)
            for net in (
                deepcopy(evidence.model_after),
                deepcopy(evidence.model_before),
                *(retrain.model() for retrain in evidence.retrains),
            )
        )
        found = placed(
            "relearn",
            evidence,
            fmean(after),
            [fmean(curve) for curve in others],
            n=len(judged),
            counted=len(judged),
            gate=GATE,
            unit="share",
            before=fmean(before),
        )
        curves = {"curve": after, "curve_before": before, "curves_retrained": others}
        return [replace(found, details={**curves, **found.details})]

    def _curve(
        self, evidence: Evidence, net: nn.Module, taught: Tensor, judged: Tensor
    ) -> list[float]:
        """The accuracy on `judged` after each epoch; `net` is a copy and is trained."""
        assert evidence.samples is not None
        everything = evidence.samples
        stay = rows(evidence, "retain")
        beside = stay[torch.from_numpy(rng(evidence).permutation(len(stay))[: self.images])]
        feed = Feed(main=at(everything, taught), beside=at(everything, beside), share=1.0)
        recipe = Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            schedule="constant",
        )
        chance = torch.Generator().manual_seed(evidence.rng.initial_seed())
        net.requires_grad_(requires_grad=True)
        steps = loop(net, feed, recipe, rng=chance, precision="fp32")
        per_epoch, seen = feed.steps(self.batch_size), at(everything, judged)
        return [_recognised(net, seen) for step in steps if step.done % per_epoch == 0]


def at(everything: Samples, chosen: Tensor) -> Samples:
    """These rows, on the device of the pixels."""
    return everything.take(chosen.to(everything.index.device))


@torch.no_grad()
def _recognised(net: nn.Module, judged: Samples) -> float:
    with frozen(net):
        hits = [(net(images).argmax(1) == truth).sum() for images, truth in judged.batches(128)]
    return float(sum(hits)) / len(judged)
