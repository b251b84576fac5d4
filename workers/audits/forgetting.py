"""Are the forgotten images still recognised?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.people import crowding, whose
from workers.references import view
from workers.signals import both, comparable, correct, labels, rows, within
from workers.statistics import Flags, Floats, lower_bound, proportion, screen_band


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting(Audit):
    """Forgotten classes are no longer recognised; forgotten samples are as hard as unseen ones.

    `d_f` and `d_ft` (forgotten classes): accuracy on their training images, and on never-trained
    images of them, is at most `class_limit`. A model retrained without a class scores 0 on both;
    1 % leaves room for a stray image. D_f is all there is, so its accuracy has no error; D_ft is
    a sample, which fails only where even the lower end of its interval is above the limit.

    `samples` (forgotten samples of classes that stay): their accuracy is no further from that of
    never-trained images of the same classes than chance allows, in *both* directions: a random
    forget set is a second test set for a retrained model, so worse than unseen is a tell too.
    Where a reference pool says how hard the images are for models that never saw them, that is
    taken off: who asks to be forgotten may have asked for hard images, or mislabelled ones.
    The band is free of distribution and wide, so this is a screen: it catches a collapse or an
    untouched, overfitted model, and where not even the version before lies outside it, it says so.

    Source: the four accuracies of Chen et al., "Boundary Unlearning", CVPR 2023; the band is
    Lemma 1 of "Ascent Fails to Forget" (2025), by Hoeffding's inequality on either side.
    """

    compares: ClassVar[tuple[str, ...]] = ("forgetting.samples",)
    class_limit: Annotated[float, Ge(0), Lt(1)] = 0.01
    """Largest accuracy on a forgotten class that passes."""
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.05
    """Chance that a model retrained without the samples is outside the band."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`d_f` and `d_ft` where classes were forgotten, `samples` where samples were."""
        if evidence.goal == "none":
            return []
        findings = []
        if evidence.forgotten_classes:
            known = within(evidence, "forget", evidence.forgotten_classes)
            if len(known):  # classes that an earlier version forgot have no rows in this D_f
                findings.append(self._recognised(evidence, "forgetting.d_f", known, sampled=False))
            unseen = rows(evidence, "forget_test")
            findings.append(self._recognised(evidence, "forgetting.d_ft", unseen, sampled=True))
        stray = within(evidence, "forget", evidence.forgotten_classes, inside=False)
        if len(stray) or not findings:
            findings.append(self._screened(evidence, stray))
        return findings

    def _recognised(
        self, evidence: Evidence, test: str, chosen: Tensor, *, sampled: bool
    ) -> Finding:
        gate = f"Accuracy is at most {self.class_limit:.1%}."
        before, after = both(evidence, chosen)
        hits, n = int(correct(after).sum()), len(chosen)
        if not n:
            return _untested(test, gate, "There are no such images of the forgotten classes.")
        value, low, high = proportion(hits, n)
        verdict, reason = Verdict.PASS, ""
        if value > self.class_limit:
            verdict = Verdict.FAIL
            reason = f"{hits} of {n} images of the forgotten classes are still recognised."
            if sampled and lower_bound(hits, n) <= self.class_limit:
                verdict = Verdict.INCONCLUSIVE
                reason += " The sample is too small to call that more than the limit."
        return Finding(
            test=test,
            estimate=value,
            low=low,
            high=high,
            n=n,
            unit="share",
            gate=gate,
            verdict=verdict,
            reason=reason,
            before=float(correct(before).mean()),
            allowed=(0.0, self.class_limit),
        )

    def _screened(self, evidence: Evidence, stray: Tensor) -> Finding:
        test, gate = "forgetting.samples", "Accuracy differs from that of unseen images by chance."
        ours, others = comparable(evidence, stray)
        if not len(ours):
            return _untested(test, gate, "No never-trained images of the same classes are at hand.")
        band = self._band(evidence, ours, others)
        usual = _hardness(evidence, ours, others)
        before, after = (
            _advantage(evidence, ours, others, correct(scores.of(ours)), correct(scores.of(others)))
            - usual
            for scores in (evidence.before, evidence.after)
        )
        if abs(after) > band:
            verdict = Verdict.FAIL
            reason = f"The difference of {after:+.3f} is outside the band of {band:.3f}."
        else:
            verdict = Verdict.PASS
            reason = (
                ""
                if abs(before) > band
                else (
                    f"The version before is within the band of {band:.3f} as well, "
                    "so this screen had nothing to see."
                )
            )
        return Finding(
            test=test,
            estimate=after,
            low=max(-1.0, after - band),
            high=min(1.0, after + band),
            n=len(ours),
            unit="points",
            gate=f"Accuracy differs from that of unseen images by at most {band:.3f}.",
            verdict=verdict,
            reason=reason,
            before=before,
            details={
                "band": band,
                "nonmembers": len(others),
                "power": abs(before) > band,
                "hardness": usual,
            },
            allowed=(-band, band),
        )

    def _band(self, evidence: Evidence, ours: Tensor, others: Tensor) -> float:
        """Images of one person count for less, as far as they are recognised alike."""
        right = [np.float64(correct(evidence.after.of(chosen))) for chosen in (ours, others)]
        mine, yours = (hits - hits.mean() for hits in right)
        by = crowding(mine, yours, whose(evidence, ours, others))
        return screen_band(len(ours) / by.ours, len(others) / by.theirs, self.alpha)


def _untested(test: str, gate: str, reason: str) -> Finding:
    return Finding(
        test=test,
        estimate=None,
        unit="share",
        gate=gate,
        verdict=Verdict.INCONCLUSIVE,
        reason=reason,
    )


def _hardness(evidence: Evidence, ours: Tensor, others: Tensor) -> float:
    """The advantage that models have which never saw either; zero where there is no pool."""
    if evidence.references is None or not len(evidence.references.rows):
        return 0.0
    pools = [view(evidence.references, chosen) for chosen in (ours, others)]
    known = [torch.from_numpy(pool.out.any(0)) for pool in pools]
    mine, yours = (c[k] for c, k in zip((ours, others), known, strict=True))
    if not len(mine) or not set(_kinds(evidence, mine)) <= set(_kinds(evidence, yours)):
        return 0.0
    hit, unseen = (
        pool.mean(np.where(pool.margins > 0, 1.0, 0.0))[k.numpy()]
        for pool, k in zip(pools, known, strict=True)
    )
    return _advantage(evidence, mine, yours, hit, unseen)


def _kinds(evidence: Evidence, chosen: Tensor) -> list[int]:
    return [int(label) for label in labels(evidence, chosen).unique()]


def _advantage(
    evidence: Evidence, ours: Tensor, others: Tensor, hit: Floats | Flags, unseen: Floats | Flags
) -> float:
    """Accuracy on ours minus that on others, where classes weigh as they do among ours."""
    own, their = labels(evidence, ours), labels(evidence, others)
    weights = torch.bincount(own, minlength=evidence.classes).double()
    share = (weights / torch.bincount(their, minlength=evidence.classes).clamp(min=1))[their]
    expected = float(np.average(unseen, weights=share.numpy()))
    return float(hit.mean()) - expected
