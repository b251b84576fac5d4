"""MIA-efficacy, the number of the unlearning literature, for comparison with it."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from sklearn.svm import SVC
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.signals import (
    confidence,
    correct,
    entropy,
    modified_entropy,
    probabilities,
    rng,
    rows,
)
from workers.statistics import Floats, proportion

HEADLINE = "confidence"
FEATURES: Mapping[str, Callable[[Scores], Floats]] = {
    HEADLINE: confidence,
    "correctness": lambda scores: correct(scores).astype(np.float64),
    "entropy": entropy,
    "modified_entropy": modified_entropy,
    "probability": probabilities,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SvcMia(Audit):
    """MIA-efficacy: the share of D_f that a support-vector machine calls *non-member*.

    One machine per feature (probability of the true label, correctness, entropy, modified
    entropy, all probabilities) learns to tell retain images from never-trained images of the
    remaining classes; `confidence` is the number that papers print. Read it beside the value of a
    retrained model and nothing else: neither 0, 50 nor 100 % is the goal, an untrained net scores
    high, and after forgetting a class every model that lowers its probability scores near 100 %.
    Here on a fixed random sample of each side, and with the modified entropy as it was defined;
    the published code mixes the labels of a batch. The version before is tried with `confidence`
    only, to spare time. It only reports.

    Source: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, section 3
    and its code (SVC with C = 3, gamma "auto", RBF); Song and Mittal, USENIX Security 2021.
    """

    sample: Annotated[int, Ge(2)] = 2000
    """Images on either side that each machine learns from."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding for each feature, `confidence` first; none for a baseline."""
        if evidence.goal == "none":
            return []
        chance = rng(evidence)
        members = _some(rows(evidence, "retain"), self.sample, chance)
        others = _some(rows(evidence, "retain_test"), self.sample, chance)
        forget = rows(evidence, "forget")
        if not min(len(members), len(others), len(forget)):
            reason = "It takes forgotten images, retain images and never-trained images."
            return [
                Finding(test=f"svc_mia.{name}", estimate=None, unit="share", reason=reason)
                for name in FEATURES
            ]
        # libsvm works without the interpreter's lock: as many machines at once as there are cores.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return [
                *pool.map(lambda name: _efficacy(evidence, name, members, others, forget), FEATURES)
            ]


def _some(chosen: Tensor, size: int, chance: np.random.Generator) -> Tensor:
    """At most `size` of these rows, in their order."""
    at = np.sort(chance.permutation(len(chosen))[:size])
    return chosen[torch.from_numpy(at)]


def _efficacy(
    evidence: Evidence, name: str, members: Tensor, others: Tensor, forget: Tensor
) -> Finding:
    after = non_members(FEATURES[name], evidence.after, members, others, forget)
    value, low, high = proportion(after, len(forget))
    before = None
    if name == HEADLINE:
        before = non_members(FEATURES[name], evidence.before, members, others, forget) / len(forget)
    return Finding(
        test=f"svc_mia.{name}",
        estimate=value,
        low=low,
        high=high,
        n=len(forget),
        before=before,
        unit="share",
        details={
            "direction": "share of the forget set called non-member",
            "members": len(members),
            "nonmembers": len(others),
        },
    )


def non_members(
    feature: Callable[[Scores], Floats],
    scores: Scores,
    members: Tensor,
    others: Tensor,
    forget: Tensor,
) -> int:
    """How many of the forget set the machine takes for images that were never trained on."""
    table = np.concatenate([_columns(feature, scores, side) for side in (members, others)])
    truth = np.repeat([1, 0], [len(members), len(others)])
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(table, truth)
    return int((machine.predict(_columns(feature, scores, forget)) == 0).sum())


def _columns(feature: Callable[[Scores], Floats], scores: Scores, chosen: Tensor) -> Floats:
    """(n, features)."""
    return feature(scores.of(chosen)).reshape(len(chosen), -1)
