"""A made-up audit: facts and findings as a pipeline would hand them to the report."""

from collections.abc import Sequence
from dataclasses import replace

from workers.evidence import Certificate, Control, Finding, Judgement, Verdict
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
    slice={"number": 1, "of": 2, "reused": False},
    people=10,
    history=[
        {
            "version": 1,
            "tests": {"membership.retained": {"estimate": 0.6, "low": 0.58, "high": 0.62}},
        }
    ],
    provenance={"device": "cpu", "torch": "2.14"},
)

HELD = Certificate(
    id="c-1", granted="2026-11-01", goal="samples", size=500, shadows=12, area=0.503, high=0.531,
    epsilon=0.02, epsilon_before=4.1,
)  # fmt: skip


def judged(findings: Sequence[Finding]) -> Judgement:
    """What a screening without controls makes of these."""
    return Judgement(
        verdict=headline(findings), assurance="tier0", reason=because(findings), findings=findings
    )


def weighed(findings: Sequence[Finding], *, as_expected: bool = True) -> Judgement:
    """What tier 1 makes of these, with its controls."""
    verdict = headline(findings) if as_expected else Verdict.INCONCLUSIVE
    return replace(
        judged(findings),
        verdict=verdict,
        assurance="tier0" if verdict is Verdict.INCONCLUSIVE else "tier1",
        controls=[replace(control, as_expected=as_expected) for control in CONTROLS],
        tiers={0: Verdict.PASS, 1: verdict},
    )


ABOUT = {"accuracy": "How often the model is right.\n\nSource: a paper."}


def histogram(name: str, *, retrained: bool = False) -> Finding:
    counts = {"forget": [5, 45], "retain": [80, 20], "forget_test": [0, 10], "retain_test": [0, 0]}
    versions = ("before", "after", "retrained") if retrained else ("before", "after")
    return Finding(
        test=f"histograms.{name}",
        estimate=1.0,
        unit="nats",
        details={"edges": [0.0, 1.0, 2.0], **dict.fromkeys(versions, counts)},
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
        allowed=(0.0, 0.01),
    ),
    Finding(
        test="accuracy.test",
        estimate=0.8,
        n=30,
        unit="share",
        details={
            "per_class": [
                {"label": 1, "n": 10, "before": 0.7, "after": 0.0, "retrained": [0.0, 0.02]},
                {"label": 2, "n": 30, "before": 0.9, "after": 0.8, "retrained": [0.8, 0.9]},
            ]
        },
    ),
    Finding(test="membership.auc", estimate=0.51, n=50, before=0.7, details={"detectable": 0.561}),
    Finding(
        test="destination",
        estimate=None,
        n=50,
        reason="The method pushed nowhere.",
        details={
            "predicted_before": [0, 50, 0],
            "predicted_after": [40, 0, 10],
            "predicted_retrained": [],
        },
    ),
    Finding(test="cost.rte_seconds", estimate=12.5, unit="s"),
    histogram("entropy"),
    histogram("margin"),
]

# ---- with references -----------------------------------------------------------------------------

AREA = Finding(
    test="rmia.auc",
    estimate=0.503,
    low=0.478,
    high=0.528,
    n=600,
    before=0.914,
    gate="The area is one half, within 0.050.",
    allowed=(0.45, 0.55),
    verdict=Verdict.PASS,
    tier=1,
    power=0.96,
    details={
        "outlook": {
            "left": [0.0, 0.5, 1.0],
            "passes": [0.9, 0.1, 0.0],
            "fails": [0.0, 0.7, 1.0],
            "limit": 0.12,
        }
    },
)
CONTROLS = [
    Control(
        name=name,
        test="rmia.auc",
        estimate=value,
        low=value - 0.02,
        high=value + 0.02,
        n=600,
        verdict=verdict,
        as_expected=True,
        reason="",
    )
    for name, value, verdict in (
        ("original_must_fail", 0.914, Verdict.FAIL),
        ("never_saw_must_pass", 0.502, Verdict.PASS),
    )
]
RATES = [0.0001, 0.001, 0.01, 0.1, 1.0]
CURVE = [0.0, 0.001, 0.012, 0.11, 1.0]
CLOUD = {
    "forget": [[0.0, 0.0]],
    "forget_test": [[0.1, 0.1]],
    "retain_test": [[1.0, 1.0], [2.0, 2.0]],
}
HEAT = {"forget": [[0.0, 1.0], [0.5, 0.2]], "retain": [[0.1, 0.0], [0.5, 0.9]]}
WEIGHED = [
    *FINDINGS[:-2],
    AREA,
    Finding(
        test="roc",
        estimate=0.001,
        low=0.0,
        high=0.003,
        n=600,
        unit="share",
        details={
            "fpr": RATES,
            "before": [0.1, 0.2, 0.4, 0.8, 1.0],
            "after": CURVE,
            "low": CURVE,
            "high": CURVE,
            "retrained": [CURVE],
            "nonmembers": 3000,
            "resolved": 10 / 3000,
        },
    ),
    Finding(test="per_record.high", estimate=0.0, details={"p_values": [12, 9, 11, 10]}),
    Finding(
        test="per_record.exposed",
        estimate=0.002,
        low=0.0,
        high=0.01,
        n=600,
        unit="share",
        gate="No image stands out.",
        allowed=(0.0, 0.0),
        verdict=Verdict.PASS,
        tier=1,
        details={
            "forgotten": [[3.0, 0.5], [1.0, -0.25], [2.5, 2.5]],
            "unseen": [[0.0, 0.0], [-1.0, -1.5], [1.0, 1.25]],
            "exposed": [[2.5, 2.5]],
            "usual": [-1.5, 1.25],
        },
    ),
    Finding(test="membership.retained", estimate=0.61, low=0.59, high=0.63, n=100, before=0.6),
    Finding(
        test="relearn",
        estimate=0.2,
        n=200,
        unit="share",
        gate="No sooner than after retraining.",
        verdict=Verdict.PASS,
        tier=1,
        details={
            "curve": [0.0, 0.1, 0.3],
            "curve_before": [1.0, 1.0, 1.0],
            "curves_retrained": [[0.0, 0.1, 0.2], [0.0, 0.2, 0.3]],
            "retrained": [0.1, 0.17],
        },
        allowed=(0.0, 0.25),
    ),
    Finding(
        test="embedding",
        estimate=None,
        reason="A picture and no measure.",
        details={
            "low": [0.0, 0.0],
            "high": [2.0, 2.0],
            "labels": {"forget": [1], "forget_test": [1], "retain_test": [0, 2]},
            "points": {"before": CLOUD, "after": CLOUD, "retrained": CLOUD},
        },
    ),
    Finding(test="grad_cam", estimate=0.4, details={"before": HEAT, "after": HEAT}),
    histogram("entropy", retrained=True),
    histogram("margin", retrained=True),
]
