"""The nouns of an audit: scores, evidence, findings, verdicts. Torch only."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from workers.kinds import Method, Samples


class Verdict(StrEnum):
    """How a test ended. `INCONCLUSIVE`: the data at hand cannot tell."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one forward pass in evaluation mode says of the rows it saw; on the CPU."""

    rows: Tensor
    """(n,) int64 rows of the dataset, ascending, each once."""
    logits: Tensor
    """(n, K) float32."""
    features: Tensor
    """(n, d) float16: the input of the last linear layer."""
    labels: Tensor
    """(n,) int64."""

    def positions(self, rows: Tensor) -> Tensor:
        """Where dataset rows (m,) lie within ours, (m,) int64. All must have been scored."""
        return torch.searchsorted(self.rows, rows)

    def of(self, rows: Tensor) -> "Scores":
        """The part about these dataset rows, (m,) int64, in their order."""
        at = self.positions(rows)
        return Scores(
            rows=rows, logits=self.logits[at], features=self.features[at], labels=self.labels[at]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What models that are nobody's product say of the same rows: the reference pool."""

    rows: Tensor
    """(n,) int64 rows of the dataset, ascending, each once."""
    margins: Tensor
    """(K, n) float32: logit margin of the true label, a line for each model of the pool; NaN where
    it is not known, as for a row that was cut out."""
    trained: Tensor
    """(K, n) bool: was the model trained on the row? About half are, by a balanced draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """A model trained by the recipe of the original on data without the forget set."""

    scores: Scores
    """Over the rows that the candidate was scored on."""
    model: Callable[[], nn.Module]
    """Loads the net, in evaluation mode, a copy that the caller may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the audits of one version may look at.

    `parts` names row sets of the dataset, (m,) int64 each, on the CPU: `forget` (D_f),
    `retain` (the scored part of D_r), `kept` (all of D_r, most of it not scored), `forget_test` (D_ft: never-trained images of the forgotten
    classes), `retain_test` (D_rt), `nonmembers` (hold-out, or the test split where none exists),
    `recalibration` (retain images on which BatchNorm statistics were re-estimated).
    """

    before: Scores
    after: Scores
    recalibrated: Scores | None
    """`after` once its BatchNorm statistics are re-estimated; None for a net without BatchNorm."""
    parts: Mapping[str, Tensor]
    classes: int
    goal: str
    """`class`, `samples`, or `none` for the baseline of a version that forgot nothing."""
    forgotten_classes: Sequence[int]
    """Classes of which no training data is left."""
    model_before: nn.Module
    model_after: nn.Module
    requested: Tensor
    """(m,) int64 rows that the requests name, as SQL has them."""
    removed: Tensor
    """(m,) int64 rows that the run was given as its forget set."""
    neighbours: Tensor | None = None
    """(m,) int64: the label that each row of `forget` was pushed towards, where the method did."""
    run: Mapping[str, float] = field(default_factory=dict)
    """Measured by the pipeline: `rte_seconds`, `samples_per_second`, `peak_memory_bytes`, and what
    the method said of its search (`flipped`)."""
    samples: Samples | None = None
    """All rows of the dataset, for audits that look at pixels or train a copy; a row is its own
    position. None where the pixels are not at hand."""
    people: Tensor | None = None
    """(N,) int64 over all rows of the dataset: rows about the same person share a number. None where
    nobody is known, so that each row stands alone."""
    references: References | None = None
    """None where the dataset and architecture have no reference pool."""
    retrains: Sequence[Retrain] = ()
    alpha: float = 0.05
    """The chance, at most, that a gate passes a model with a residue at its limit."""
    rng: torch.Generator = field(default_factory=torch.Generator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question: an estimate, its interval, and what that means."""

    test: str
    """`audit_name` or `audit_name.part`; stable, a key of the report."""
    estimate: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    gate: str | None = None
    """The rule in words, with its numbers; None when the test only reports."""
    allowed: tuple[float, float] | None = None
    """Lowest and highest estimate that the gate has nothing against, for the picture of all gates;
    None where that is not one interval."""
    verdict: Verdict | None = None
    """None when the test only reports."""
    reason: str = ""
    """One sentence on how the verdict came about; required when it is not a pass."""
    before: float | None = None
    """The same estimate on the version before."""
    unit: str = ""
    """`share` (shown in percent), `points` (a difference of shares), `nats`, `s`, `bytes`, `per s`;
    empty for a bare number."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON only: histograms, tables."""
    tier: int = 0
    """That of the audit; set by whoever asked it."""
    p_value: float | None = None
    """The chance of a value at least as far off in a model without residue; None where a gate is a
    rule that leaves nothing to chance."""
    power: float | None = None
    """The chance that a model without residue passes, given so many images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What the tests of a tier say of a model about which the truth is known."""

    name: str
    """`original_must_fail` or `never_saw_must_pass`."""
    test: str
    """The test that was decisive."""
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    verdict: Verdict
    as_expected: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What tier 2 says of the method, used as it was here, on models like this one."""

    id: str
    granted: str
    """The day, ISO 8601."""
    goal: str
    size: int
    """The largest forget set that it covers: samples, or classes at once."""
    shadows: int
    area: float
    """Of the attack of one who knows the method, after forgetting."""
    high: float
    """Of its 95 % interval."""
    epsilon: float | None = None
    """The lower bound that canaries showed; None where there were none."""
    epsilon_before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What all findings together say of a version."""

    verdict: Verdict
    assurance: str
    """`tier1` where the tests with references came to a conclusion, else `tier0`."""
    reason: str
    """One sentence on how the verdict came about."""
    findings: Sequence[Finding]
    controls: Sequence[Control] = ()
    tiers: Mapping[int, Verdict] = field(default_factory=dict)
    """The verdict of each tier that was asked; 0 screens, 1 weighs."""
    attempt: int = 1
    certificate: Certificate | None = None
    """Of the method, if it holds one that covers this use."""
    leans: bool = False
    """Did it pass on the certificate, with too few images for tier 1?"""

    @property
    def certified(self) -> bool:
        """Is there a certificate for the method?"""
        return self.certificate is not None


class Audit(ABC):
    """A question put to a model that has forgotten. One file, one audit, found by its file name.

    Subclasses are frozen dataclasses whose fields are limits and sizes, as with methods.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = Method.__pydantic_config__
    tier: ClassVar[int] = 0
    """0: seconds, no references. 1: against references; weighs what tier 0 only screens."""
    compares: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of those of its tests that set images against never-trained ones:
    without a hold-out of the same kind they mean nothing."""
    controlled: ClassVar[bool] = False
    """Are its gates put to models of which the truth is known, each time that it is asked?"""

    @abstractmethod
    def ask(self, evidence: Evidence) -> list[Finding]:
        """Compare the version that knew with the version that forgot. Change neither."""
