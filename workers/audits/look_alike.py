"""Do the outputs tell a forgotten class from its look-alike as well as those of retrained models?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding, Scores
from workers.retrained import LEAST, MISSING, placed, scores_of
from workers.signals import clean, probabilities, rng, rows, within
from workers.statistics import Floats

GATE = "The outputs set the class apart from its look-alike as those of retrained models do."


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike(Audit):
    """For forgotten classes: whether the logits that stay still know the class. A gate.

    The look-alike is the class that retrained models take the forgotten one for. A classifier
    learns, on logits of retrained models and never-trained images, to tell the two apart; then it is
    shown D_f through the version under audit. The estimate is how far the share that it calls
    forgotten lies from the mean of the retrained models, each of which is held against the others
    likewise. In a model that only hides the class, the other logits keep a place for it.

    Source: class-wise membership inference of arXiv:2506.20893, with a linear classifier on the
    logits of all retrained models; bands after Hahn and Meeker (1991).
    """

    tier: ClassVar[int] = 1
    sample: Annotated[int, Ge(2)] = 500
    """Never-trained images of either class, at most, that the classifier learns from."""
    least: Annotated[int, Ge(2)] = 20
    """The same, at least."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding where a class was forgotten."""
        if evidence.goal == "none" or not evidence.forgotten_classes:
            return []
        gone = within(evidence, "forget", evidence.forgotten_classes)
        reason = MISSING if len(evidence.retrains) < LEAST else ""
        if not len(gone):
            reason = "There are no images of the forgotten classes."
        sides = () if reason else self._learned(evidence, gone)
        if not reason and min(map(len, sides)) < self.least:
            reason = "There are too few never-trained images of the class, or of its look-alike."
        if reason:
            return [unanswered("look_alike", GATE, reason)]
        models = scores_of(evidence)
        shares = [
            _share(evidence, [m for m in models if m is not each], each, gone, sides)
            for each in models
        ]
        k, whole = len(shares), sum(shares)

        def away(scores: Scores) -> float:
            return abs(_share(evidence, models, scores, gone, sides) - whole / k)

        found = placed(
            "look_alike",
            evidence,
            away(evidence.after),
            [abs(share - (whole - share) / (k - 1)) for share in shares],
            n=len(gone),
            counted=len(gone),
            gate=GATE,
            before=away(evidence.before),
        )
        return [replace(found, details={**found.details, "shares_retrained": shares})]

    def _learned(self, evidence: Evidence, gone: Tensor) -> Sequence[Tensor]:
        """Never-trained images of the forgotten classes, and of what these are taken for."""
        seen = np.mean([probabilities(each.of(gone)).mean(0) for each in scores_of(evidence)], 0)
        seen[list(evidence.forgotten_classes)] = -1.0
        alike = within(evidence, "retain_test", [int(seen.argmax())])
        return [self._some(evidence, part) for part in (rows(evidence, "forget_test"), alike)]

    def _some(self, evidence: Evidence, chosen: Tensor) -> Tensor:
        return chosen[torch.from_numpy(rng(evidence).permutation(len(chosen))[: self.sample])]


def _share(
    evidence: Evidence,
    models: Sequence[Scores],
    asked: Scores,
    gone: Tensor,
    sides: Sequence[Tensor],
) -> float:
    """Of the forgotten images, the share that outputs of `asked` set apart from the look-alike."""
    learned = [
        (_described(evidence, m.of(side)), i) for m in models for i, side in enumerate(sides)
    ]
    truth = np.concatenate([np.full(len(found), i == 0) for found, i in learned])
    machine = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    machine.fit(np.concatenate([found for found, _ in learned]), truth)
    return float(machine.predict(_described(evidence, asked.of(gone))).mean())


def _described(evidence: Evidence, scores: Scores) -> Floats:
    """(n, K - gone): log-probabilities among the classes that stay."""
    stay = [k for k in range(evidence.classes) if k not in set(evidence.forgotten_classes)]
    described: Floats = clean(scores.logits)[:, stay].log_softmax(1).numpy()
    return described
