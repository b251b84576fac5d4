"""The verdict on a version: which questions are put, to whom else, and what follows from them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from workers import audits, backing, shelf
from workers.evidence import Audit, Certificate, Control, Evidence, Finding, Judgement, Verdict
from workers.inference import holm
from workers.innocents import never_saw

OPEN = Verdict.INCONCLUSIVE
LEVEL = 0.005
"""The chance, at most, that a tier fails a model without residue. What does not pass is not assured
either way, so a false accusation may be rare: of 40 retrained models, 5 % would accuse two."""
REFUSED = "The hold-out is invalid, so nothing is compared with it."
DECISIVE = "rmia.auc"
"""What a model that never saw the images must pass, and that without failing elsewhere."""


def judge(
    evidence: Evidence,
    *,
    tier: int,
    attempt: int = 1,
    certificate: Certificate | None = None,
    require_certificate: bool = False,
    accept_certificate: bool = False,
) -> Judgement:
    """Put the questions of all tiers up to this one, and weigh the answers.

    A version passes if every gate passes, so each may be held against its own level. It fails if
    any does, so failures are counted together (Holm). Tier 1 comes to no conclusion unless the
    same tests fail the version before and pass a model that never saw the images.

    Args:
        tier: 0 screens for obvious failures; 1 also attacks with references.
        attempt: how often this request was audited, this time included. Whoever tries until a
            version passes must pass at a level that much stricter.
        certificate: of the method, if it holds one that covers this use.
        require_certificate: nothing passes whose method holds none.
        accept_certificate: samples that are too few for tier 1 may pass on it.

    Source: the union of intersections of Berger, Technometrics 24 (1982), for passing.
    """
    strict = replace(evidence, alpha=evidence.alpha / attempt)
    findings = _asked(strict, tier)
    controls = _controls(strict) if tier > 0 and evidence.goal != "none" else []
    tiers = {
        number: headline(found for found in findings if found.tier == number)
        for number in range(tier + 1)
    }
    if not (_valid(findings) and all(control.as_expected for control in controls)):
        tiers[1] = OPEN
    verdict, reason = _weighed(tiers, findings, controls)
    may_lean = accept_certificate and certificate is not None and evidence.goal == "samples"
    leans = verdict is OPEN and tier > 0 and may_lean
    leans = leans and backing.suffices(findings, controls, _decisive(findings))
    if leans:
        verdict, reason = Verdict.PASS, backing.BACKED
    if require_certificate and verdict is Verdict.PASS and certificate is None:
        verdict = OPEN
        reason = "The policy asks for a certificate of the method, and there is none."
    if verdict is Verdict.FAIL and _valid(findings):
        reason = " ".join([reason, *_copies(findings)])
    return Judgement(
        verdict=verdict,
        assurance="tier0" if tiers.get(1, OPEN) is OPEN else "tier1",
        reason=reason,
        findings=findings,
        controls=controls,
        tiers=tiers,
        attempt=attempt,
        certificate=certificate,
        leans=leans,
    )


def _asked(evidence: Evidence, tier: int) -> list[Finding]:
    """All findings up to a tier; what rests on an invalid hold-out is refused, in every tier."""
    kinds = [kind for kind in _kinds() if kind.tier <= tier]
    asked = [(kind, found) for kind in kinds for found in ask(evidence, kind)]
    refused = not _valid(found for _, found in asked)
    whole = [
        _refused(found) if refused and found.test.startswith(kind.compares) else found
        for kind, found in asked
    ]
    tiers = [[found for found in whole if found.tier == number] for number in range(tier + 1)]
    return [found for each in tiers for found in together(each)]


def _valid(findings: Iterable[Finding]) -> bool:
    return not any(found.details.get("valid") is False for found in findings)


def ask(evidence: Evidence, kind: type[Audit]) -> list[Finding]:
    """Put one question of the shelf."""
    return [replace(found, tier=kind.tier) for found in kind().ask(evidence)]


def _kinds() -> Iterable[type[Audit]]:
    return shelf.on(audits, Audit).values()


def about() -> dict[str, str]:
    """What each audit asks, in its own words."""
    return {name: shelf.about(kind) for name, kind in shelf.on(audits, Audit).items()}


# ---- weighing ----------------------------------------------------------------------------------


def headline(findings: Iterable[Finding]) -> Verdict:
    """Any failed gate fails the version; without one, any inconclusive gate leaves it open.

    A version that no gate looked at is inconclusive.
    """
    found = {finding.verdict for finding in findings} - {None}
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.PASS if found == {Verdict.PASS} else OPEN


def together(findings: Sequence[Finding]) -> list[Finding]:
    """Failures that chance explains, once all gates with a p-value are counted, are left open."""
    chances = {i: f.p_value for i, f in enumerate(findings) if f.gate and f.p_value is not None}
    adjusted = dict(zip(chances, holm(list(chances.values())), strict=True))
    weighed = list(findings)
    for i, chance in adjusted.items():
        found = replace(weighed[i], details={**weighed[i].details, "p_adjusted": chance})
        if found.verdict is Verdict.FAIL and chance > LEVEL:
            sentence = f"Among {len(adjusted)} such tests that may be chance (p = {chance:.2g})."
            found = replace(found, verdict=OPEN, reason=f"{found.reason} {sentence}")
        weighed[i] = found
    return weighed


def because(findings: Sequence[Finding]) -> str:
    """One sentence on how the headline came about."""
    gates = [found for found in findings if found.verdict is not None]
    for verdict, word in ((Verdict.FAIL, "failed"), (OPEN, "could not be answered")):
        named = [found.test for found in gates if found.verdict is verdict]
        if named:
            return f"{len(named)} of {len(gates)} checks {word}: {', '.join(named)}."
    return f"All of {len(gates)} checks passed." if gates else "No check applied."


def _copies(findings: Sequence[Finding]) -> list[str]:
    """A hint for those who cannot believe it: copies undo the best of methods."""
    telling = [found for found in findings if found.details.get("telling")]
    return [f"{found.reason} That alone makes exact methods fail." for found in telling]


def _weighed(
    tiers: dict[int, Verdict], findings: Sequence[Finding], controls: Sequence[Control]
) -> tuple[Verdict, str]:
    astray = [control for control in controls if not control.as_expected]
    if tiers[0] is Verdict.FAIL:
        return Verdict.FAIL, because([found for found in findings if found.tier == 0])
    if not _valid(findings):
        return OPEN, REFUSED
    if astray:
        return OPEN, f"The controls did not come out as they must: {astray[0].reason}"
    return headline(findings), because(findings)


def _refused(finding: Finding) -> Finding:
    verdict = finding.verdict and OPEN  # what only reports goes on to, with the reason beside it
    return replace(finding, verdict=verdict, reason=REFUSED, p_value=None)


# ---- controls ----------------------------------------------------------------------------------


def _controls(evidence: Evidence) -> list[Control]:
    """The same gates, put to the version before and to a model that never saw the images."""
    original = replace(evidence, after=evidence.before, model_after=evidence.model_before)
    known = _controlled(original)
    failed = [found for found in known if found.verdict is Verdict.FAIL]
    first = _control("original_must_fail", (failed or known)[0], as_expected=bool(failed))
    innocents = [_controlled(innocent) for innocent in never_saw(evidence)]
    if not innocents:
        return [first, _absent("never_saw_must_pass")]
    innocents.sort(key=lambda found: abs((_decisive(found).estimate or 1.0) - 0.5))
    middle = innocents[len(innocents) // 2]
    accused = [each for each in middle if each.verdict is Verdict.FAIL]
    good = _decisive(middle).verdict is Verdict.PASS and not accused
    shown = (accused or [_decisive(middle)])[0]
    return [first, _control("never_saw_must_pass", shown, as_expected=good)]


def _decisive(found: Sequence[Finding]) -> Finding:
    return next((each for each in found if each.test == DECISIVE), found[0])


def _controlled(evidence: Evidence) -> list[Finding]:
    found = [each for kind in _kinds() if kind.controlled for each in ask(evidence, kind)]
    return [each for each in together(found) if each.gate is not None]


def _control(name: str, found: Finding, *, as_expected: bool) -> Control:
    said = "as expected" if as_expected else "which must not be"
    return Control(
        name=name,
        test=found.test,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=found.n,
        verdict=found.verdict or OPEN,
        as_expected=as_expected,
        reason=f"{found.test} says {found.verdict}, {said}. {found.reason}".strip(),
    )


def _absent(name: str) -> Control:
    return Control(
        name=name, test=DECISIVE, estimate=None, low=None, high=None, n=0, verdict=OPEN,
        as_expected=False, reason="No model is at hand that never saw the images.",
    )  # fmt: skip
