"""Is the new version a different, finite, honest set of weights?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor, nn

from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.heads import head
from workers.signals import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity(Audit):
    """The weights changed, are finite, and belong to the same architecture. A gate.

    Only trained parameters count as changed: a version that differs in nothing but its BatchNorm
    buffers has learned and forgotten nothing. The estimate is the distance that the parameters
    moved, relative to their length. A last layer with one outlying bias or one vanished row looks
    like a masked class; it is a warning only, since a retrained layer may look odd too. The
    baseline of a version that forgot nothing need only be finite.

    Source: our own rule; the limits of the warning after the median absolute deviation, Hampel,
    J. American Statistical Association 69 (1974).
    """

    bias_outlier: Annotated[float, Gt(0)] = 10.0
    """Warn of a bias that lies this many median absolute deviations from the median, and further
    than the logits spread: a smaller one masks nothing."""
    row_outlier: Annotated[float, Gt(0)] = 0.05
    """Warn of a row of the last layer shorter than this share of the median row."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; its reason lists what is wrong."""
        before, after = evidence.model_before, evidence.model_after
        finite = _finite(after.state_dict()) and bool(evidence.after.logits.isfinite().all())
        alike = _anatomy(before) == _anatomy(after)
        moved = _moved(before, after) if finite and alike else None
        wrong = [] if finite else ["some weights or outputs are not finite"]
        wrong += [] if alike else ["the architecture is not that of the version before"]
        if moved == 0.0 and evidence.goal != "none":
            wrong.append("no trained parameter changed")
        suspects = self.outliers(evidence) if finite else []
        return [
            Finding(
                test="integrity",
                estimate=moved,
                n=sum(p.numel() for p in after.parameters()),
                gate=_gate(evidence.goal),
                verdict=Verdict.FAIL if wrong else Verdict.PASS,
                reason=("; ".join(wrong).capitalize() + ".") if wrong else _warning(suspects),
                details={
                    "finite": finite,
                    "same_architecture": alike,
                    "outlying_classes": suspects,
                },
            )
        ]

    def outliers(self, evidence: Evidence) -> list[int]:
        """Classes whose bias or row in the last linear layer stands apart from the others'."""
        last = head(evidence.model_after)[1]
        lengths = last.weight.detach().double().flatten(1).norm(dim=1)
        odd = lengths < self.row_outlier * lengths.median()
        if last.bias is not None:
            bias = last.bias.detach().double()
            away = (bias - bias.median()).abs()
            spread = clean(evidence.before.logits).std().to(away.device)
            odd |= away > (self.bias_outlier * away.median()).clamp(min=spread)
        return [int(label) for label in odd.nonzero().flatten()]


def _gate(goal: str) -> str:
    if goal == "none":
        return "All weights and outputs are finite."
    return "Parameters changed, all weights and outputs are finite, the architecture is the same."


def _warning(suspects: list[int]) -> str:
    return f"The last layer looks masked for the classes {suspects}." if suspects else ""


def _finite(state: Mapping[str, Tensor]) -> bool:
    return all(bool(value.isfinite().all()) for value in state.values())


def _anatomy(model: nn.Module) -> list[Any]:
    """Names and kinds of all modules, and names and shapes of all tensors."""
    modules: list[Any] = [(name, type(part).__name__) for name, part in model.named_modules()]
    return modules + [(name, tuple(value.shape)) for name, value in model.state_dict().items()]


def _moved(before: nn.Module, after: nn.Module) -> float:
    with torch.no_grad():
        pairs = list(zip(before.parameters(), after.parameters(), strict=True))
        gone = sum(float((new.double() - old.double()).square().sum()) for old, new in pairs)
        length = sum(float(old.double().square().sum()) for old, _ in pairs)
    return float((gone / length) ** 0.5) if length else float(gone > 0)
