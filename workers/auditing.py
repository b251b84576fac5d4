"""One audit: gather the evidence with one pass a model state, put the questions, write it up."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import torch
from torch import Tensor, nn

from models_store import keys
from models_store.audits import COLUMNS, Report
from models_store.blobs import Kept
from models_store.events import moment
from models_store.rungs import Subject
from models_store.tables import Blob
from workers import passes, report, scoring, slices, verdicts
from workers.bench import Bench, Laid
from workers.evidence import Evidence, Finding, Retrain, Scores
from workers.gathering import gather, held, history
from workers.report import Facts, VersionFacts
from workers.scoring import Split
from workers.slices import Slice

UNSEEN = ("test", "holdout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version under audit beside the one it came from; for a baseline the two are one."""

    subject: Subject
    before: nn.Module
    after: nn.Module
    facts_before: VersionFacts
    facts_after: VersionFacts
    original: int
    """The version that the line began with; it leads to the reference pool."""
    known_before: Scores | None
    goal: str
    requested: Tensor
    removed: Tensor
    training: Tensor
    retain: Tensor
    forgotten: Tensor
    """Rows that anybody has had forgotten: they stand for nobody's unseen images any more."""
    known_after: Scores | None = None
    tier: int = 0
    attempt: int = 1
    neighbours: Tensor | None = None
    run: Mapping[str, float] = field(default_factory=dict)
    requests: Mapping[UUID, list[int]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def audit(bench: Bench, candidate: Candidate) -> tuple[Report, Scores]:
    """Put the questions of a tier and those below; the report, and the candidate's scores."""
    laid = bench.lay(candidate.subject.dataset_id)
    with bench.store.begin() as db:
        key = keys.hash_key(db)
    gone = gone_classes(laid.labels.cpu(), candidate)
    plan = scoring.plan(_split(laid, candidate), laid.labels, gone)
    plan, fresh = _sliced(laid, candidate, plan, key)
    evidence = _evidence(bench, candidate, plan, gone)
    made, removed = candidate.facts_after, laid.labels.cpu()[candidate.removed]
    judgement = verdicts.judge(
        evidence,
        tier=candidate.tier,
        attempt=candidate.attempt,
        certificate=held(
            bench, candidate.subject, candidate.original, made, candidate.goal, removed
        ),
        require_certificate=candidate.subject.policy.require_certificate,
        accept_certificate=candidate.subject.policy.accept_certificate,
    )
    facts = replace(
        _facts(bench, candidate, plan, gone, key),
        slice=fresh.told() if fresh else None,
        references=0 if evidence.references is None else len(evidence.references.margins),
        retrains=len(evidence.retrains),
    )
    document = report.document(facts, judgement, verdicts.about())
    document["requests"] = _slices(candidate, evidence.before, evidence.after)
    pages = {
        media: _kept(bench.store.blobs.put(made), media)
        for media, made in report.pages(document).items()
    }
    return _report(candidate, document, judgement.findings, pages), evidence.after


def keep_scores(bench: Bench, scores: Scores) -> Blob:
    """The scores as a blob: the next version's "before"."""
    return _kept(bench.store.blobs.put(scoring.dump_scores(scores)), scoring.MEDIA)


def _split(laid: Laid, candidate: Candidate) -> Split:
    """A test or held-out row counts only if the model was not trained on it and it may be used."""
    known = torch.cat([candidate.training, candidate.forgotten])
    test, holdout = (rows[~torch.isin(rows, known)] for rows in map(laid.split, UNSEEN))
    return Split(forget=candidate.removed, retain=candidate.retain, test=test, holdout=holdout)


def _sliced(
    laid: Laid, candidate: Candidate, plan: scoring.Plan, key: bytes
) -> tuple[scoring.Plan, Slice | None]:
    """The never-trained images of this attempt alone. All are scored, for those that follow."""
    if candidate.goal == "none":
        return plan, None
    found = slices.fresh(
        plan.parts["nonmembers"],
        candidate.removed,
        laid.labels.cpu(),
        laid.people,
        attempt=candidate.attempt,
        key=hmac.digest(key, candidate.subject.fingerprint.encode(), "sha256"),
    )
    return replace(plan, parts={**plan.parts, "nonmembers": found.rows}), found


def _evidence(
    bench: Bench, candidate: Candidate, plan: scoring.Plan, gone: Sequence[int]
) -> Evidence:
    laid = bench.lay(candidate.subject.dataset_id)
    seen = passes.read(
        candidate.before,
        candidate.after,
        laid.samples(torch.arange(len(laid.labels))),
        plan,
        classes=len(candidate.subject.class_names),
        goal=candidate.goal,
        forgotten_classes=gone,
        requested=candidate.requested,
        removed=candidate.removed,
        known_before=candidate.known_before,
        known_after=candidate.known_after,
        precision=bench.precision,
    )
    pool, retrains = None, list[Retrain]()
    if candidate.tier:
        pool, retrains = gather(
            bench, candidate.subject, candidate.original, plan.rows, candidate.removed
        )
    return replace(
        seen,
        people=laid.people,
        neighbours=candidate.neighbours,
        run=candidate.run,
        references=pool,
        retrains=retrains,
    )


def gone_classes(labels: Tensor, candidate: Candidate) -> Sequence[int]:
    """Classes that the line was trained on and of which no training data is left.

    Those that an earlier version forgot are among them: they must stay forgotten.
    """
    left = set(labels[candidate.retain].unique().tolist())
    return sorted(set(labels[candidate.training].unique().tolist()) - left)


def _facts(
    bench: Bench, candidate: Candidate, plan: scoring.Plan, gone: Sequence[int], key: bytes
) -> Facts:
    subject = candidate.subject
    laid = bench.lay(subject.dataset_id)
    with bench.store.read() as db:
        now = moment(db)
    nonmembers = "none"
    if len(plan.parts["nonmembers"]):
        held = laid.split("holdout")
        nonmembers = "holdout" if torch.isin(plan.parts["nonmembers"], held).all() else "test"
    return Facts(
        audit=f"{subject.name}/{candidate.facts_after.number}",
        created_at=now.isoformat(),
        model=subject.name,
        architecture=subject.architecture,
        dataset=subject.dataset_name,
        fingerprint=subject.fingerprint,
        class_names=subject.class_names,
        before=candidate.facts_before,
        after=candidate.facts_after,
        goal=candidate.goal,
        forgotten_classes=gone,
        requests=len(candidate.requests),
        manifest=report.manifest(map(str, candidate.requested.tolist()), key),
        sizes={part: len(rows) for part, rows in plan.parts.items()},
        nonmembers=nonmembers,
        people=_people(laid, candidate.removed),
        history=[]
        if candidate.goal == "none"
        else history(bench, subject, candidate.facts_before.number),
        provenance=candidate.provenance,
    )


def _people(laid: Laid, forget: Tensor) -> int | None:
    """How many people the forgotten images are of; None where the dataset names nobody."""
    named = len(laid.people.unique()) < len(laid.people)
    return len(laid.people[forget].unique()) if named else None


def _slices(candidate: Candidate, before: Scores, after: Scores) -> dict[str, Any]:
    """What the job did to each request's own rows."""
    return {
        str(request): report.request_slice(
            before, after, candidate.removed[torch.isin(candidate.removed, torch.tensor(rows))]
        )
        for request, rows in candidate.requests.items()
    }


def _kept(kept: Kept, media_type: str) -> Blob:
    return Blob(digest=kept.digest, size=kept.size, media_type=media_type)


def _report(
    candidate: Candidate,
    document: dict[str, Any],
    findings: Sequence[Finding],
    pages: Mapping[str, Blob],
) -> Report:
    return Report(
        tier=candidate.tier,
        verdict=document["verdict"],
        assurance=document["assurance"],
        document=document,
        tests=[{column: getattr(finding, column) for column in COLUMNS} for finding in findings],
        pages=pages,
    )
