"""How are loss, entropy and margin distributed on each part, before and after?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from scipy import stats

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.signals import SIGNALS, both, retrained, rows
from workers.statistics import Floats

PARTS = ("forget", "retain", "forget_test", "retain_test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Histograms(Audit):
    """Loss, entropy and logit margin, in nats, on D_f, D_r, D_ft and D_rt; it only reports.

    Before, after and (where there are any) retrained models share their bins, which span the middle
    98 % of all values seen; the rest is counted in the outermost bins. The estimate is the mean on
    D_f (on D_r for a baseline). Read the forgotten images against the never-trained ones: more
    entropy than those is no success but a trace. Beside retrained models `apart` says how far from
    theirs each distribution lies, by the largest difference of the two cumulative ones.

    Source: Chen et al., "Boundary Unlearning", CVPR 2023 (entropy of the four parts); the distance
    is that of Kolmogorov and Smirnov.
    """

    bins: Annotated[int, Ge(2)] = 30
    """Number of bins."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding for each signal."""
        return [self._drawn(evidence, name, signal) for name, signal in SIGNALS.items()]

    def _drawn(self, evidence: Evidence, name: str, signal: Callable[[Scores], Floats]) -> Finding:
        seen = {
            part: [signal(s) for s in (*both(evidence, part), *retrained(evidence, part))]
            for part in PARTS
        }
        subject = "retain" if evidence.goal == "none" else "forget"
        edges = _edges(np.concatenate([v for each in seen.values() for v in each]), self.bins)
        n = len(rows(evidence, subject))
        return Finding(
            test=f"histograms.{name}",
            estimate=float(seen[subject][1].mean()) if n else None,
            n=n,
            before=float(seen[subject][0].mean()) if n else None,
            unit="nats",
            reason="" if n else "This part has no images.",
            details=_table(seen, edges),
        )


def _edges(values: Floats, bins: int) -> Floats:
    """bins + 1 rising edges; of nothing, or of one value only, an interval of length one."""
    low, high = np.quantile(values, [0.01, 0.99]) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def _table(seen: dict[str, list[Floats]], edges: Floats) -> dict[str, Any]:
    def binned(values: Floats) -> list[int]:
        return [int(n) for n in np.histogram(values.clip(edges[0], edges[-1]), edges)[0]]

    table: dict[str, Any] = {
        "edges": [float(edge) for edge in edges],
        "before": {part: binned(each[0]) for part, each in seen.items()},
        "after": {part: binned(each[1]) for part, each in seen.items()},
    }
    if any(len(each) > 2 for each in seen.values()):
        oracles = {part: np.concatenate(each[2:]) for part, each in seen.items()}
        table["retrained"] = {part: binned(values) for part, values in oracles.items()}
        table["apart"] = {
            version: {
                part: float(stats.ks_2samp(each[place], oracles[part]).statistic)
                for part, each in seen.items()
                if len(each[place])
            }
            for place, version in enumerate(("before", "after"))
        }
    return table
