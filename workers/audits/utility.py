"""What did the classes that stay lose?"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.signals import both, correct, rows
from workers.statistics import paired_drop


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility(Audit):
    """No remaining class loses more than `class_limit` of accuracy on never-trained images.

    Losses are paired: the same images before and after, which makes small ones visible. The
    overall drop is reported with its interval; the gate is the worst class, because an average
    hides a class that was sacrificed (most often the neighbour of the forgotten one). It fails
    where the worst drop is above the limit and, with the level shared among the classes looked
    at, beyond chance; or where the mean drop alone is surely above the limit, for the worst class
    is no better than the mean. Among a handful of images a larger drop may be inconclusive.

    Source: our own limits; intervals after Agresti and Min, Statistics in Medicine 24 (2005);
    the level is shared after Bonferroni.
    """

    class_limit: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Largest drop of any remaining class that passes, in shares."""
    stray: Annotated[int, Ge(0)] = 2
    """Images that a class may lose whatever the limit: of 36 images, two are 6 %."""
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.05
    """Chance that a harmless version fails for one unlucky class."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`overall` (reported) and `worst_class` (a gate); none for a baseline."""
        if evidence.goal == "none":
            return []
        gate = (
            f"No remaining class drops by more than {self.class_limit:.1%}, "
            f"or by {self.stray} images where that is more."
        )
        if not len(rows(evidence, "retain_test")):
            reason = "There are no never-trained images of the remaining classes."
            return [
                Finding(test="utility.overall", estimate=None, unit="points", reason=reason),
                Finding(
                    test="utility.worst_class",
                    estimate=None,
                    unit="points",
                    gate=gate,
                    verdict=Verdict.INCONCLUSIVE,
                    reason=reason,
                ),
            ]
        return [_overall(evidence), self._worst(evidence, gate)]

    def _worst(self, evidence: Evidence, gate: str) -> Finding:
        before, after = both(evidence, "retain_test")
        was, now, labels = correct(before), correct(after), after.labels.numpy()
        classes = sorted(set(labels.tolist()))
        confidence = 1 - 2 * self.alpha / max(2, len(classes))
        drops = {c: paired_drop(was[labels == c], now[labels == c], confidence) for c in classes}
        label = max(drops, key=lambda c: drops[c].value)
        value, low, high = drops[label]
        n = int((labels == label).sum())
        verdict, reason = Verdict.PASS, ""
        if paired_drop(was, now, 0.90).low > self.class_limit:
            verdict, reason = Verdict.FAIL, "The mean drop alone is above the limit."
        elif value > max(self.class_limit, self.stray / n):
            verdict = Verdict.FAIL if low > 0 else Verdict.INCONCLUSIVE
            reason = f"Class {label} drops by {value:.1%}"
            reason += "." if low > 0 else ", which among so few images may be chance."
        return Finding(
            test="utility.worst_class",
            estimate=value,
            low=low,
            high=high,
            n=n,
            unit="points",
            gate=gate,
            verdict=verdict,
            reason=reason,
            details={"label": label, "drops": {str(c): drops[c].value for c in classes}},
            allowed=(-1.0, max(self.class_limit, self.stray / n)),
        )


def _overall(evidence: Evidence) -> Finding:
    before, after = both(evidence, "retain_test")
    value, low, high = paired_drop(correct(before), correct(after))
    bound = paired_drop(correct(before), correct(after), 0.90).high
    return Finding(
        test="utility.overall",
        estimate=value,
        low=low,
        high=high,
        n=len(after.rows),
        unit="points",
        details={"upper_bound_95": bound},
    )
