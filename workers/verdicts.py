"""The verdict on a version: which questions are put, to whom else, and what follows from them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from workers import audits, shelf
from workers.evidence import Audit, Evidence, Finding, Judgement, Verdict

OPEN = Verdict.INCONCLUSIVE


def judge(
    evidence: Evidence, *, tier: int, attempt: int = 1, require_certificate: bool = False
) -> Judgement:
    """Put the questions of all tiers up to this one, and weigh the answers.

    Args:
        tier: 0 screens for obvious failures; 1 also attacks with references.
        attempt: how often this request was audited, this time included. Whoever tries until a
            version passes must pass at a level that much stricter.
        require_certificate: nothing passes whose method holds no certificate.
    """
    strict = replace(evidence, alpha=evidence.alpha / attempt)
    findings = ask(strict, range(tier + 1))
    tiers = {
        number: headline(found for found in findings if found.tier == number)
        for number in range(tier + 1)
    }
    verdict, reason = headline(findings), because(findings)
    if require_certificate and verdict is Verdict.PASS:
        verdict, reason = OPEN, "The policy asks for a certificate of the method."
    return Judgement(
        verdict=verdict,
        assurance="tier0" if tiers.get(1, OPEN) is OPEN else "tier1",
        reason=reason,
        findings=findings,
        tiers=tiers,
        attempt=attempt,
    )


def ask(evidence: Evidence, tiers: Iterable[int]) -> list[Finding]:
    """Put every question of these tiers, in the order of tiers and names."""
    return [
        replace(finding, tier=tier)
        for tier in tiers
        for kind in shelf.on(audits, Audit).values()
        if kind.tier == tier
        for finding in kind().ask(evidence)
    ]


def about() -> dict[str, str]:
    """What each audit asks, in its own words."""
    return {name: shelf.about(kind) for name, kind in shelf.on(audits, Audit).items()}


def headline(findings: Iterable[Finding]) -> Verdict:
    """Any failed gate fails the version; without one, any inconclusive gate leaves it open.

    A version that no gate looked at is inconclusive.
    """
    found = {finding.verdict for finding in findings} - {None}
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.PASS if found == {Verdict.PASS} else OPEN


def because(findings: Sequence[Finding]) -> str:
    """One sentence on how the headline came about."""
    gates = [found for found in findings if found.verdict is not None]
    for verdict, word in ((Verdict.FAIL, "failed"), (OPEN, "could not be answered")):
        named = [found.test for found in gates if found.verdict is verdict]
        if named:
            return f"{len(named)} of {len(gates)} checks {word}: {', '.join(named)}."
    return f"All of {len(gates)} checks passed." if gates else "No check applied."
