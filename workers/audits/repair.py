"""Do the features still hold the class, for anyone with a few pictures of it?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from sklearn.linear_model import RidgeClassifier
from torch import Tensor

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Scores
from workers.retrained import LEAST, MISSING, placed, scores_of
from workers.signals import labels, rng, rows, within
from workers.statistics import Flags, Floats, Ints

GATES = {
    "prototype": "A few never-trained images bring back no more than after retraining.",
    "probe": "A linear layer on the features finds no more than after retraining.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair(Audit):
    """For forgotten classes: how well the penultimate features tell the class, without training.

    `prototype`: the mean feature of `shots` never-trained images of the class joins the means of
    the other classes; the estimate is the share of its other never-trained images that lie
    nearest to it, over `draws` choices. `probe`: a linear layer is fitted to the features of half
    of the never-trained images, and finds the class among the other half. A retrained model is
    far above chance in both, since features serve classes that it never saw; so the gates are the
    values of retrained models. A mask, a deleted row or a new last layer leaves features alone.

    Source: Snell et al., "Prototypical Networks", NeurIPS 2017; Alain and Bengio, "Understanding
    Intermediate Layers Using Linear Classifier Probes", 2016; bands after Hahn and Meeker (1991).
    """

    tier: ClassVar[int] = 1
    shots: Annotated[int, Ge(1)] = 20
    """Never-trained images that make the prototype."""
    draws: Annotated[int, Ge(1)] = 10
    """Choices of them."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`prototype` and `probe` where a class was forgotten."""
        if evidence.goal == "none" or not evidence.forgotten_classes:
            return []
        shown = rows(evidence, "nonmembers")
        gone = within(evidence, "nonmembers", evidence.forgotten_classes)
        reason = MISSING if len(evidence.retrains) < LEAST else ""
        if len(gone) < 2 * self.shots or len(gone) == len(shown):
            reason = "There are too few never-trained images of the class, or none of others."
        if reason:
            return [unanswered(f"repair.{name}", gate, reason) for name, gate in GATES.items()]
        return [
            self._placed(evidence, "prototype", shown, gone),
            self._placed(evidence, "probe", shown, gone),
        ]

    def _placed(self, evidence: Evidence, name: str, shown: Tensor, gone: Tensor) -> Finding:
        truth = labels(evidence, shown).numpy()
        sought = np.isin(truth, np.asarray(evidence.forgotten_classes))
        plans = _choices(evidence, truth, sought, self) if name == "prototype" else []

        def found(scores: Scores) -> float:
            features = scores.of(shown).features.double().numpy()
            features = np.nan_to_num(features, posinf=0.0, neginf=0.0)
            if name == "probe":
                return _probed(evidence, features, truth, sought)
            return float(np.mean([_nearest(features, truth, plan) for plan in plans]))

        return placed(
            f"repair.{name}",
            evidence,
            found(evidence.after),
            [found(scores) for scores in scores_of(evidence)],
            n=len(gone),
            counted=len(gone),
            gate=GATES[name],
            unit="share",
            before=found(evidence.before),
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows make prototypes, and which rows of the forgotten classes are looked for."""

    making: Flags
    sought: Flags


def _choices(evidence: Evidence, truth: Ints, sought: Flags, audit: Repair) -> list[Choice]:
    chance, made = rng(evidence), []
    for _ in range(audit.draws):
        making = ~sought
        for label in np.unique(truth[sought]):
            mine = chance.permutation(np.flatnonzero(truth == label))
            making[mine[: min(audit.shots, len(mine) // 2)]] = True
        made.append(Choice(making, sought & ~making))
    return made


def _nearest(features: Floats, truth: Ints, choice: Choice) -> float:
    """The share of the sought rows that lie nearest to the prototype of their own class."""
    known = np.unique(truth[choice.making])
    made = np.stack([features[choice.making & (truth == label)].mean(0) for label in known])
    away = (made**2).sum(1) - 2 * features[choice.sought] @ made.T
    return float((known[away.argmin(1)] == truth[choice.sought]).mean())


def _probed(evidence: Evidence, features: Floats, truth: Ints, sought: Flags) -> float:
    """The share of the sought rows that a linear layer finds, fitted to the other half."""
    half = rng(evidence).permutation(len(truth)) % 2 == 0
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1.0)
    right = np.zeros(len(truth), np.bool_)
    for fitted in (half, ~half):
        layer = RidgeClassifier(alpha=1.0).fit(scaled[fitted], truth[fitted])
        right[~fitted] = layer.predict(scaled[~fitted]) == truth[~fitted]
    return float(right[sought].mean())
