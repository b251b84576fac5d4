"""A made-up audit: facts and findings as a pipeline would hand them to the report."""

from collections.abc import Sequence

from workers.evidence import Finding, Judgement, Verdict
from workers.report import Facts, VersionFacts
from workers.verdicts import because, headline

FACTS = Facts(
    audit="a-1",
    created_at="2026-11-21T10:00:00Z",
    model="animals",
    architecture="all_cnn",
    dataset="cifar10",
    fingerprint="f" * 64,
    class_names=["cat", "deer", "<b>dog</b>"],
    before=VersionFacts(number=1, digest="1" * 64),
    after=VersionFacts(
        number=2, digest="2" * 64, method="boundary_shrink", params={"epochs": 2}, seed=7
    ),
    goal="class",
    forgotten_classes=[1],
    requests=1,
    manifest="3" * 64,
    sizes={"forget": 50, "retain": 100, "forget_test": 10, "retain_test": 20},
    nonmembers="test",
    provenance={"device": "cpu", "torch": "2.14"},
)


def judged(findings: Sequence[Finding]) -> Judgement:
    """What a screening without controls makes of these."""
    return Judgement(
        verdict=headline(findings), assurance="tier0", reason=because(findings), findings=findings
    )


ABOUT = {"accuracy": "How often the model is right.\n\nSource: a paper."}


def histogram(name: str) -> Finding:
    counts = {"forget": [5, 45], "retain": [80, 20], "forget_test": [0, 10], "retain_test": [0, 0]}
    return Finding(
        test=f"histograms.{name}",
        estimate=1.0,
        unit="nats",
        details={"edges": [0.0, 1.0, 2.0], "before": counts, "after": counts},
    )


FINDINGS = [
    Finding(test="integrity", estimate=0.1, gate="The weights changed.", verdict=Verdict.PASS),
    Finding(
        test="forgetting.d_f",
        estimate=0.004,
        low=0.001,
        high=0.02,
        n=50,
        unit="share",
        gate="Accuracy is at most 1.0%.",
        verdict=Verdict.PASS,
        before=1.0,
    ),
    Finding(
        test="accuracy.test",
        estimate=0.8,
        n=30,
        unit="share",
        details={"per_class": [{"label": 2, "n": 30, "before": 0.9, "after": 0.8}]},
    ),
    Finding(test="membership.auc", estimate=0.51, n=50, before=0.7, details={"detectable": 0.561}),
    Finding(
        test="destination",
        estimate=None,
        n=50,
        reason="The method pushed nowhere.",
        details={"predicted_before": [0, 50, 0], "predicted_after": [40, 0, 10]},
    ),
    Finding(test="cost.rte_seconds", estimate=12.5, unit="s"),
    histogram("entropy"),
    histogram("margin"),
]
