"""How much of the model is exactly zero?"""

from dataclasses import dataclass

from workers.evidence import Audit, Evidence, Finding
from workers.sparsity import zeros

NEARLY = 1e-4
GROUPS = {"all": 0, "weights": 2, "convolutions": 4}
"""Parameters of so many dimensions or more; the words are those of `l1_sparse`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity(Audit):
    """The share of exact zeros among all parameters, weights, and weights of convolutions.

    It only reports. A model that was pruned stays so in every version that follows; a penalty
    makes weights small, and counts only where it made them zero; the details say how many are
    nearly so (no more than 1e-4 away), which is not the same.

    Source: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, which gives
    sparsity as the share of zero weights of convolutions.
    """

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding for each group."""
        return [
            Finding(
                test=f"sparsity.{name}",
                estimate=zeros(evidence.model_after, dimensions),
                before=zeros(evidence.model_before, dimensions),
                unit="share",
                details={
                    "nearly_before": zeros(evidence.model_before, dimensions, NEARLY),
                    "nearly_after": zeros(evidence.model_after, dimensions, NEARLY),
                },
            )
            for name, dimensions in GROUPS.items()
        ]
