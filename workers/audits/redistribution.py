"""Do the outputs on a forgotten class go where those of retrained models go?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workers.attacks import unanswered
from workers.evidence import Audit, Evidence, Finding
from workers.retrained import LEAST, MISSING, placed, scores_of
from workers.signals import probabilities, within

GATE = "The outputs are no further from those of retrained models than these are from each other."


@dataclass(frozen=True, slots=True, kw_only=True)
class Redistribution(Audit):
    """For forgotten classes: the mean output on D_f, against that of retrained models. A gate.

    The estimate is the total variation distance (half the sum of absolute differences) to the mean
    of the retrained models; each of those is held against the mean of the others likewise. A
    retrained model spreads a class it never saw over look-alikes. Labels drawn at random, or one
    neighbour for all, are a trace of the method that anybody can see. A mask passes here.

    Source: the neighbour-class argument of arXiv:2506.20893; bands after Hahn and Meeker (1991).
    """

    tier: ClassVar[int] = 1

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding where a class was forgotten."""
        if evidence.goal == "none" or not evidence.forgotten_classes:
            return []
        gone = within(evidence, "forget", evidence.forgotten_classes)
        if not len(gone) or len(evidence.retrains) < LEAST:
            reason = MISSING if len(gone) else "There are no images of the forgotten classes."
            return [unanswered("redistribution", GATE, reason)]
        means = np.stack([probabilities(s.of(gone)).mean(0) for s in scores_of(evidence)])
        k, whole = len(means), means.sum(0)
        apart = [float(np.abs(mean - (whole - mean) / (k - 1)).sum() / 2) for mean in means]

        def away(which: str) -> float:
            scores = evidence.after if which == "after" else evidence.before
            mean = probabilities(scores.of(gone)).mean(0)
            return float(np.abs(mean - whole / k).sum() / 2)

        return [
            placed(
                "redistribution",
                evidence,
                away("after"),
                apart,
                n=len(gone),
                counted=len(gone),
                gate=GATE,
                before=away("before"),
            )
        ]
