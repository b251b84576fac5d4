"""What did forgetting cost?"""

from dataclasses import dataclass
from math import isfinite

from workers.evidence import Audit, Evidence, Finding

UNITS = {"rte_seconds": "s", "samples_per_second": "per s", "peak_memory_bytes": "bytes"}
SOMETIMES = {"prune_seconds": "s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(Audit):
    """Run time of the unlearning procedure, samples a second, and peak memory; it only reports.

    `rte_seconds` is synchronised wall-clock time of the method alone, label search included;
    loading, auditing and publishing are not. Where the net was pruned first, `prune_seconds` says
    what that took, beside it.

    Source: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023 (RTE).
    """

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding for each measure; none for the baseline, which ran nothing."""
        if evidence.goal == "none":
            return []
        also = {name: unit for name, unit in SOMETIMES.items() if name in evidence.run}
        return [_measured(evidence, name, unit) for name, unit in {**UNITS, **also}.items()]


def _measured(evidence: Evidence, name: str, unit: str) -> Finding:
    value = evidence.run.get(name)
    if value is None or not isfinite(value):
        reason = "This was not measured."
        return Finding(test=f"cost.{name}", estimate=None, unit=unit, reason=reason)
    return Finding(test=f"cost.{name}", estimate=float(value), unit=unit)
