"""How often the model is right, on each part of the data, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding
from workers.signals import both, correct, retrained, rows
from workers.statistics import proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy(Audit):
    """Accuracy on D_r, D_f, D_rt and D_ft, and the same as UA, RA and TA; it only reports.

    D_r and D_f are training images kept and forgotten, D_rt and D_ft never-trained images of the
    remaining and of the forgotten classes. UA is one minus the accuracy on D_f, RA the accuracy
    on D_r, TA that on D_rt (test images of a forgotten class are left out); `test` is D_rt and
    D_ft together. Each prediction is the largest of all logits, forgotten classes included.
    Zero on D_f says little about privacy: one edited bias is enough for it.

    Source: Chen et al., "Boundary Unlearning", CVPR 2023 (the four parts); Jia et al., "Model
    Sparsity Can Simplify Machine Unlearning", NeurIPS 2023 (UA, RA, TA); intervals after Clopper
    and Pearson, Biometrika 26 (1934).
    """

    def ask(self, evidence: Evidence) -> list[Finding]:
        """Seven accuracies and the table of classes."""
        d_r = _accuracy(evidence, "accuracy.d_r", rows(evidence, "retain"))
        d_f = _accuracy(evidence, "accuracy.d_f", rows(evidence, "forget"))
        d_rt = _accuracy(evidence, "accuracy.d_rt", rows(evidence, "retain_test"))
        d_ft = _accuracy(evidence, "accuracy.d_ft", rows(evidence, "forget_test"))
        everything = torch.cat([rows(evidence, "retain_test"), rows(evidence, "forget_test")])
        test = _accuracy(evidence, "accuracy.test", everything)
        return [
            d_r,
            d_f,
            d_rt,
            d_ft,
            _complement(d_f),
            replace(d_r, test="accuracy.ra"),
            replace(d_rt, test="accuracy.ta"),
            replace(test, details={"per_class": _per_class(evidence, everything)}),
        ]


def _accuracy(evidence: Evidence, test: str, chosen: Tensor) -> Finding:
    before, after = both(evidence, chosen)
    n = len(chosen)
    if not n:
        return Finding(test=test, estimate=None, unit="share", reason="This part has no images.")
    value, low, high = proportion(int(correct(after).sum()), n)
    known = float(correct(before).mean())
    return Finding(test=test, estimate=value, low=low, high=high, n=n, before=known, unit="share")


def _complement(d_f: Finding) -> Finding:
    if d_f.estimate is None or d_f.low is None or d_f.high is None or d_f.before is None:
        return replace(d_f, test="accuracy.ua")
    return replace(
        d_f,
        test="accuracy.ua",
        estimate=1 - d_f.estimate,
        low=1 - d_f.high,
        high=1 - d_f.low,
        before=1 - d_f.before,
    )


def _per_class(evidence: Evidence, chosen: Tensor) -> Sequence[dict[str, Any]]:
    """One line for each class of which there are images: n, and each version's accuracy."""
    before, after = both(evidence, chosen)
    labels = after.labels.numpy()
    was, now = correct(before), correct(after)
    oracles = [correct(scores) for scores in retrained(evidence, chosen)]
    return [
        {
            "label": label,
            "n": int((labels == label).sum()),
            "before": float(was[labels == label].mean()),
            "after": float(now[labels == label].mean()),
            "retrained": [float(right[labels == label].mean()) for right in oracles],
        }
        for label in range(evidence.classes)
        if (labels == label).any()
    ]
