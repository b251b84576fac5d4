"""What are the forgotten images taken for now?"""

from dataclasses import dataclass

from workers.evidence import Audit, Evidence, Finding
from workers.signals import both, counts, predicted, retrained, rows
from workers.statistics import proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination(Audit):
    """Where D_f went: how often each label is predicted, before and after; it only reports.

    The estimate is the share of D_f predicted as the very label that the method pushed it
    towards, where the method chose one (Boundary Shrink's neighbours); `flipped` is the share that
    its search took across a boundary of the version before. A retrained model spreads a forgotten
    class over look-alikes; nearly everything on one label is a trace of the method. A truly random
    spread is one too.

    Source: Chen et al., "Boundary Unlearning", CVPR 2023, section 3 (nearest incorrect label).
    """

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding with the two histograms; none for a baseline."""
        if evidence.goal == "none":
            return []
        before, after = both(evidence, "forget")
        details = {
            "predicted_before": counts(predicted(before), evidence.classes),
            "predicted_after": counts(predicted(after), evidence.classes),
            "predicted_retrained": [
                counts(predicted(scores), evidence.classes)
                for scores in retrained(evidence, "forget")
            ],
            "labels": counts(after.labels.numpy(), evidence.classes),
        }
        n = len(rows(evidence, "forget"))
        if not n or evidence.neighbours is None:
            reason = "The method pushed nowhere in particular." if n else "Nothing was forgotten."
            return [
                Finding(
                    test="destination",
                    estimate=None,
                    n=n,
                    unit="share",
                    reason=reason,
                    details=details,
                )
            ]
        there = evidence.neighbours.numpy()
        value, low, high = proportion(int((predicted(after) == there).sum()), n)
        return [
            Finding(
                test="destination",
                estimate=value,
                low=low,
                high=high,
                n=n,
                before=float((predicted(before) == there).mean()),
                unit="share",
                details={
                    **details,
                    "neighbours": counts(there, evidence.classes),
                    "flipped": evidence.run.get("flipped"),
                },
            )
        ]
