"""The audit report: one JSON document, and its verdict in words."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from workers import page, paper, wording
from workers.evidence import Finding, Judgement, Scores
from workers.signals import correct
from workers.statistics import proportion

SCHEMA = "lethe-audit/1"
TRACED = ("membership.retained", "accuracy.d_rt", "rmia.auc")
"""Tests of which a report shows how they went from version to version."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """A version, as the report names it."""

    number: int
    digest: str
    method: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    prune: Mapping[str, Any] | None = None
    """By what it became sparse, if its zeros were held."""
    seed: int | None = None
    designed_for: Sequence[str] = ("class", "samples")
    """The targets that the method was designed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a report says beside its findings. No sample ID appears in it."""

    audit: str
    created_at: str
    """RFC 3339, by the database's clock."""
    model: str
    architecture: str
    dataset: str
    fingerprint: str
    class_names: Sequence[str]
    before: VersionFacts
    after: VersionFacts
    goal: str
    """As in `Evidence`."""
    forgotten_classes: Sequence[int] = ()
    requests: int = 0
    manifest: str | None = None
    """`manifest(...)` of the requested samples."""
    sizes: Mapping[str, int]
    """How many rows each part of the evidence has."""
    nonmembers: str
    """`holdout`, `test` or `none`."""
    slice: Mapping[str, Any] | None = None
    """Which part of them this attempt was judged on: `number`, `of`, `reused`."""
    people: int | None = None
    """How many people the forgotten images are of, where the dataset says."""
    history: Sequence[Mapping[str, Any]] = ()
    """`version` and `tests` (estimate, low, high by name) of those it came from, oldest first."""
    references: int = 0
    """Models in the reference pool that was asked."""
    retrains: int = 0
    """Models retrained without the forget set."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions of code and libraries, device, seed, settings; JSON only."""


def manifest(sample_ids: Iterable[str], salt: bytes) -> str:
    """A fingerprint of a set of samples that does not give them away: keyed SHA-256, hex.

    Each ID is closed by a zero byte, in sorted order; without the salt it cannot be guessed at.
    """
    digest = hmac.new(salt, digestmod=hashlib.sha256)
    for sample_id in sorted(set(sample_ids)):
        digest.update(sample_id.encode() + b"\0")
    return digest.hexdigest()


def document(facts: Facts, judgement: Judgement, about: Mapping[str, str]) -> Document:
    """The report as plain JSON.

    Args:
        facts: what is reported on.
        judgement: the verdict, and the findings in the order in which they are to be read.
        about: the docstring of each audit by its name.

    Raises:
        ValueError: if a finding holds a number that JSON has no word for (NaN, infinity).
    """
    findings = judgement.findings
    whole = {
        "schema": SCHEMA,
        "audit": facts.audit,
        "created_at": facts.created_at,
        "verdict": judgement.verdict,
        "assurance": judgement.assurance,
        "reason": judgement.reason,
        "attempt": judgement.attempt,
        "headline": wording.first_line(facts.goal, judgement),
        "statement": {
            "template": wording.template(facts.goal, judgement),
            "dpo": wording.statement(facts.goal, judgement),
            "limits": [
                *wording.limits(facts.nonmembers, judgement),
                *wording.worn(facts.slice),
                *wording.out_of_design(facts.goal, facts.after.method, facts.after.designed_for),
            ],
        },
        "certified": judgement.certified,
        "certificate": asdict(judgement.certificate) if judgement.certificate else None,
        "models": {
            "name": facts.model,
            "architecture": facts.architecture,
            "before": asdict(facts.before),
            "after": asdict(facts.after),
            "references": facts.references,
            "retrains": facts.retrains,
        },
        "request": {
            "goal": facts.goal,
            "requests": facts.requests,
            "n_forget": facts.sizes.get("forget", 0),
            "n_people": facts.people,
            "forgotten_classes": list(facts.forgotten_classes),
            "manifest": facts.manifest,
        },
        "data": {
            "dataset": facts.dataset,
            "fingerprint": facts.fingerprint,
            "class_names": list(facts.class_names),
            "sizes": dict(facts.sizes),
            "nonmembers": {
                **wording.basis(facts.nonmembers, facts.sizes),
                "slice": facts.slice,
            },
        },
        "history": list(facts.history),
        "controls": [asdict(control) for control in judgement.controls],
        "tests": [asdict(finding) for finding in findings],
        "utility": _estimates(findings, "utility"),
        "cost": _estimates(findings, "cost"),
        "about": dict(about),
        "provenance": dict(facts.provenance),
    }
    plain: Document = json.loads(json.dumps(whole, allow_nan=False))
    return plain


def _estimates(findings: Sequence[Finding], audit: str) -> dict[str, float | None]:
    """The estimates of one audit by the part of their name behind the dot."""
    named = (finding for finding in findings if finding.test.startswith(audit + "."))
    return {finding.test.removeprefix(audit + "."): finding.estimate for finding in named}


def request_slice(before: Scores, after: Scores, rows: Tensor) -> dict[str, Any]:
    """What a job that served several requests did to the rows of one of them.

    Args:
        before, after: the scores of the job's audit. rows: (m,) int64 rows of one request.

    Returns:
        `n`, and accuracy before and after with the interval of the latter; None without rows.
    """
    n = len(rows)
    if not n:
        return {"n": 0, "before": None, "after": None, "low": None, "high": None}
    value, low, high = proportion(int(correct(after.of(rows)).sum()), n)
    known = float(correct(before.of(rows)).mean())
    return {"n": n, "before": known, "after": value, "low": low, "high": high}


def pages(report: Document) -> Mapping[str, bytes]:
    """The document as people read it, by media type: one self-contained page, and a PDF."""
    return {
        "text/html": page.render(report).encode(),
        "application/pdf": paper.render(report),
    }
