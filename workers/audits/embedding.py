"""Where do the forgotten images lie among the classes, before and after?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores
from workers.signals import clean, rng, rows
from workers.statistics import Floats, Ints

PARTS = ("forget", "forget_test", "retain_test")
FLOOR = -20.0
"""Log-probabilities below are drawn here: a masked class would else be off the sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding(Audit):
    """A map of the decision space, drawn once for all versions; it only reports.

    Log-probabilities of all versions together are laid flat by linear discriminants of the true
    labels (by principal components where there are fewer than four classes), so the same place
    means the same decision in each panel; features would not do, since a retrained model has
    axes of its own. Forgotten images should lie where never-trained images of their class lie. A
    picture shows two directions out of many: what cannot be seen here may still be there.

    Source: Fisher, Annals of Eugenics 7 (1936), with the shrinkage of Ledoit and Wolf (2004).
    """

    tier: ClassVar[int] = 1
    points: Annotated[int, Ge(1)] = 300
    """Images of each part, at most, drawn by lot."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for a baseline."""
        if evidence.goal == "none":
            return []
        chosen = {part: self._some(evidence, part) for part in PARTS}
        versions = {"before": evidence.before, "after": evidence.after}
        if evidence.retrains:
            versions["retrained"] = evidence.retrains[0].scores
        n = len(chosen["forget"])
        if not n or not len(chosen["retain_test"]) or evidence.classes < 2:
            reason = "A map needs forgotten images and never-trained images of other classes."
            return [Finding(test="embedding", estimate=None, n=n, reason=reason)]
        details = _map(versions, chosen)
        reason = "A picture and no measure."
        return [Finding(test="embedding", estimate=None, n=n, reason=reason, details=details)]

    def _some(self, evidence: Evidence, part: str) -> Tensor:
        """By lot and in no order, so that a point says nothing of a place in the dataset."""
        found = rows(evidence, part)
        return found[rng(evidence).permutation(len(found))[: self.points]]


def _map(versions: Mapping[str, Scores], chosen: Mapping[str, Tensor]) -> dict[str, Any]:
    seen = {
        (version, part): _decisions(scores.of(picked))
        for version, scores in versions.items()
        for part, picked in chosen.items()
    }
    some = versions["before"]
    labels = {part: some.of(picked).labels.numpy() for part, picked in chosen.items()}
    every = np.concatenate([labels[part] for _, part in seen])
    flat = _flattened(np.concatenate(list(seen.values())), every)
    ends = np.cumsum([len(values) for values in seen.values()])[:-1]
    placed = dict(zip(seen, np.split(flat, ends), strict=True))
    low, high = np.quantile(flat, [0.005, 0.995], axis=0)
    return {
        "low": _rounded(low),
        "high": _rounded(high),
        "labels": {part: [int(label) for label in each] for part, each in labels.items()},
        "points": {
            version: {part: [_rounded(point) for point in placed[version, part]] for part in chosen}
            for version in versions
        },
    }


def _decisions(scores: Scores) -> Floats:
    logs: Floats = clean(scores.logits).log_softmax(1).clamp(min=FLOOR).numpy()
    return logs


def _flattened(values: Floats, labels: Ints) -> Floats:
    """(n, K) -> (n, 2)."""
    if len(np.unique(labels)) > 3:
        fisher = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=2)
        flat: Floats = fisher.fit(values, labels).transform(values)
    else:
        flat = PCA(n_components=2).fit_transform(values)
    return flat


def _rounded(point: Floats) -> list[float]:
    return [round(float(value), 2) for value in point]
