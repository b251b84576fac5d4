"""Do the outputs tell a forgotten class from its look-alike as well as those of retrained models?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.retrained import LEAST, MISSING, scores_of
from workers.signals import clean, probabilities, rng, rows, within
from workers.statistics import Floats, proportion

TEST = "look_alike"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike(Audit):
    """For forgotten classes: whether the logits that stay still know the class; it only reports.

    The look-alike is the class that retrained models take the forgotten one for. A classifier
    learns, on logits of retrained models and never-trained images, to tell the two apart; then it
    is shown D_f through the version under audit. The estimate is the share that it calls forgotten.
    Read it beside the shares of the retrained models (in the details), of each by a classifier that
    learned from the others: far above, the other logits still keep a place for the class; far
    below, they were pushed away from it. These differ too much from each other for a gate.

    Source: class-wise membership inference of arXiv:2506.20893, with a linear classifier on the
    logits of all retrained models.
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
        gone, models = within(evidence, "forget", evidence.forgotten_classes), scores_of(evidence)
        if not len(gone) or len(models) < LEAST:
            reason = MISSING if len(gone) else "There are no images of the forgotten classes."
            return [Finding(test=TEST, estimate=None, unit="share", reason=reason)]
        sides = self._sides(evidence, gone)
        if min(map(len, sides)) < self.least:
            reason = "There are too few never-trained images of the class, or of its look-alike."
            return [Finding(test=TEST, estimate=None, unit="share", reason=reason)]

        def hits(asked: Scores) -> int:
            others = [scores for scores in models if scores is not asked]
            return _set_apart(evidence, others, asked.of(gone), sides)

        share, low, high = proportion(hits(evidence.after), len(gone))
        return [
            Finding(
                test=TEST,
                estimate=share,
                low=low,
                high=high,
                n=len(gone),
                unit="share",
                before=hits(evidence.before) / len(gone),
                details={"retrained": [hits(scores) / len(gone) for scores in models]},
            )
        ]

    def _sides(self, evidence: Evidence, gone: Tensor) -> Sequence[Tensor]:
        """Never-trained images of the forgotten classes, and of what these are taken for."""
        seen = np.mean([probabilities(each.of(gone)).mean(0) for each in scores_of(evidence)], 0)
        seen[list(evidence.forgotten_classes)] = -1.0
        alike = within(evidence, "retain_test", [int(seen.argmax())])
        return [self._some(evidence, part) for part in (rows(evidence, "forget_test"), alike)]

    def _some(self, evidence: Evidence, chosen: Tensor) -> Tensor:
        return chosen[torch.from_numpy(rng(evidence).permutation(len(chosen))[: self.sample])]


def _set_apart(
    evidence: Evidence, models: Sequence[Scores], asked: Scores, sides: Sequence[Tensor]
) -> int:
    """How many outputs are taken for the first side's, by a classifier of what `models` say."""
    told = [[_described(evidence, scores.of(side)) for scores in models] for side in sides]
    ours, theirs = (np.concatenate(each) for each in told)
    machine = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    machine.fit(np.concatenate([ours, theirs]), np.arange(len(ours) + len(theirs)) < len(ours))
    return int(machine.predict(_described(evidence, asked)).sum())


def _described(evidence: Evidence, scores: Scores) -> Floats:
    """(n, K - gone): log-probabilities among the classes that stay."""
    stay = [k for k in range(evidence.classes) if k not in set(evidence.forgotten_classes)]
    described: Floats = clean(scores.logits)[:, stay].log_softmax(1).numpy()
    return described
