"""Does the forgetting survive fresh BatchNorm statistics?"""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores, Verdict
from workers.modes import has_batchnorm
from workers.signals import correct, within
from workers.statistics import paired_drop, proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class BnRecalibration(Audit):
    """Accuracy on D_f stays low once BatchNorm statistics are re-estimated on retain images.

    Training on batches of one class drags the running statistics away. The model then looks as
    if it had forgotten, while the knowledge sits untouched in the weights: anyone who shows it
    2,000 ordinary images has it back. A retrained model stays at 0 %.

    `d_f` (forgotten classes): accuracy after re-estimation is below `class_limit`; 10 % is chance
    among ten classes. `samples` (forgotten samples of classes that stay): accuracy on them does
    not rise by more than `rise_limit` over what it was before re-estimation; it fails where the
    rise is beyond chance. A quick audit looks at 2,000 images of a larger D_f. A net without
    BatchNorm has nothing to re-estimate.

    Source: our own measurement on All-CNN (docs/results.md); re-estimation as in Izmailov et al.,
    "Averaging Weights Leads to Wider Optima", UAI 2018, section 3.2.
    """

    class_limit: Annotated[float, Ge(0), Lt(1)] = 0.10
    """Accuracy on a forgotten class at which the version fails."""
    rise_limit: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Largest rise of accuracy on forgotten samples that passes."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """A finding for forgotten classes, one for forgotten samples, as there are any."""
        if evidence.goal == "none":
            return []
        found, norm = evidence.recalibrated, has_batchnorm(evidence.model_after)
        if not norm or found is None:
            return [_absent(norm=norm)]
        known, stray = (
            _scored(found, within(evidence, "forget", evidence.forgotten_classes, inside=inside))
            for inside in (True, False)
        )
        findings = []
        if len(known):
            findings.append(self._below(evidence, found, known))
        if len(stray):
            findings.append(self._no_rise(evidence, found, stray))
        return findings or [_absent(norm=norm)]

    def _below(self, evidence: Evidence, found: Scores, chosen: Tensor) -> Finding:
        hits, n = int(correct(found.of(chosen)).sum()), len(chosen)
        value, low, high = proportion(hits, n)
        good = value < self.class_limit
        return Finding(
            test="bn_recalibration.d_f",
            estimate=value,
            low=low,
            high=high,
            n=n,
            unit="share",
            gate=f"Accuracy on D_f is below {self.class_limit:.0%} with fresh statistics.",
            verdict=Verdict.PASS if good else Verdict.FAIL,
            reason="" if good else f"With fresh statistics {hits} of {n} images are recognised.",
            before=float(correct(evidence.after.of(chosen)).mean()),
            details={"before_is": "the same version with the statistics it came with"},
            allowed=(0.0, self.class_limit),
        )

    def _no_rise(self, evidence: Evidence, found: Scores, chosen: Tensor) -> Finding:
        served, fresh = correct(evidence.after.of(chosen)), correct(found.of(chosen))
        rise = paired_drop(fresh, served)
        if rise.value <= self.rise_limit:
            verdict, reason = Verdict.PASS, ""
        elif rise.low > 0:
            verdict, reason = Verdict.FAIL, f"Fresh statistics raise it by {rise.value:.1%}."
        else:
            verdict = Verdict.INCONCLUSIVE
            reason = f"A rise of {rise.value:.1%} among {len(chosen)} images may be chance."
        return Finding(
            test="bn_recalibration.samples",
            estimate=float(fresh.mean()),
            n=len(chosen),
            unit="share",
            gate=f"Fresh statistics raise accuracy on D_f by at most {self.rise_limit:.0%}.",
            verdict=verdict,
            reason=reason,
            before=float(served.mean()),
            details={
                "rise": {"value": rise.value, "low": rise.low, "high": rise.high},
                "before_is": "the same version with the statistics it came with",
            },
            allowed=(0.0, float(served.mean()) + self.rise_limit),
        )


def _scored(found: Scores, chosen: Tensor) -> Tensor:
    """Those of the rows that were scored with fresh statistics."""
    return chosen[torch.isin(chosen, found.rows)]


def _absent(*, norm: bool) -> Finding:
    """No BatchNorm: the question does not arise. No images: it cannot be answered."""
    test = "bn_recalibration"
    if not norm:
        return Finding(test=test, estimate=None, unit="share", reason="The net has no BatchNorm.")
    return Finding(
        test=test,
        estimate=None,
        unit="share",
        gate="Fresh statistics do not bring the forgotten images back.",
        verdict=Verdict.INCONCLUSIVE,
        reason="There were no forgotten images, or no retain images to re-estimate from.",
    )
