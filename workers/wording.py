"""What a report says in sentences: its first line, its statement, and what it does not claim."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from workers.evidence import Certificate, Finding, Judgement, Verdict

NONMEMBERS = {
    "holdout": "Images reserved when the dataset was imported stand for never-trained ones.",
    "test": "No images were reserved when the dataset was imported; the test split stands for "
    "never-trained ones, though it may differ from the training images in source or time.",
    "none": "There are no never-trained images; every comparison with them is left out.",
}
OPENINGS = {
    Verdict.PASS: "Passed",
    Verdict.FAIL: "Failed",
    Verdict.INCONCLUSIVE: "Inconclusive",
}
STATEMENTS = {
    "baseline-pass": "This version forgot nothing. It was measured, so that later ones can be "
    "compared.",
    "baseline-fail": "This version forgot nothing. It was measured, so that later ones can be "
    "compared, but its weights or outputs are not finite.",
    "tier0-pass": "The new model was checked for obvious failures. None was found in {gates} "
    "checks. No conclusion on erasure can be drawn.",
    "tier0-fail": "The new model was checked for obvious failures. {named} of {gates} checks "
    "failed: {names}. No conclusion on erasure can be drawn.",
    "tier0-inconclusive": "The new model was checked for obvious failures. {named} of {gates} "
    "checks could not be answered with the images at hand: {names}. No conclusion on erasure can "
    "be drawn.",
    "tier1-pass": "The new model was attacked by one who holds reference models. {attack} All "
    "{gates} checks passed.{controls} A weaker trace or a stronger attacker cannot be ruled out. "
    "This concerns these images, this version, and attackers who see its outputs; it does not "
    "show that erasure is complete.",
    "tier1-certified": "{asked} images are too few for a statistical test of this request. What can "
    "be stated: none of them stands out as training data would (smallest adjusted p = {smallest}), "
    "no check failed, and the method holds a certificate. It does not show that erasure is complete.",
    "tier1-fail": "The new model was attacked by one who holds reference models, or compared with "
    "models retrained without the images. {named} of {gates} checks failed: {names}.{controls} "
    "The version still tells the forgotten images from others, or no longer does its work; it "
    "must not be taken for one that has forgotten them.",
    "tier1-inconclusive": "The new model was attacked by one who holds reference models, or "
    "compared with models retrained without the images, and no conclusion was reached. {reason} "
    "No conclusion on erasure can be drawn.",
}
"""By template name; what stands in braces is put in by `statement`."""
OUT_OF_DESIGN = (
    "The method {method} was designed to forget {designed}, not {asked}: it was used outside of its "
    "design."
)
GOALS = {"class": "whole classes", "samples": "single images"}
REUSED = (
    "The never-trained images are too few to set fresh ones apart for each attempt: they served an "
    "earlier audit of the same requests, whose outcome may have led to this version."
)
UNCERTIFIED = "There is no certificate for the method that was used."
CERTIFIED = "The method that was used holds a certificate of {granted}."
TRIED = {
    "samples": " The method, used in this way, was tried on {shadows} models like this one, {size} "
    "images at a time (certificate of {granted}). An attacker who knew it, and knew each image's "
    "part in all other models, told forgotten from never-trained ones by an area of {area:.3f}, at "
    "most {high:.3f} (95 % interval; one half is a blind guess).",
    "class": " The method, used in this way, was tried on {shadows} models like this one, a class "
    "at a time (certificate of {granted}). Within the class, forgotten images were told from "
    "never-trained ones by an area of {area:.3f}, at most {high:.3f} (95 % interval; one half is a "
    "blind guess).",
    "epsilon": " Images that were planted for the purpose show, with 95 % confidence, a leakage of "
    "epsilon at least {epsilon:.2f} (before forgetting: at least {epsilon_before:.2f}); how much more "
    "it may be they cannot show.",
}
"""What a certificate adds to a pass."""
OF_A_METHOD = (
    "The certificate speaks of the method on models like this one that had forgotten nothing before, "
    "not of these images."
)


def template(goal: str, judgement: Judgement) -> str:
    """Which statement fits: by tier and verdict."""
    if goal == "none":
        return "baseline-pass" if judgement.verdict is Verdict.PASS else "baseline-fail"
    weighed = judgement.tiers.get(1) is not None and judgement.tiers.get(0) is Verdict.PASS
    if judgement.leans:
        return "tier1-certified"
    tier = "tier1" if weighed or judgement.assurance == "tier1" else "tier0"
    return f"{tier}-{judgement.verdict}"


def first_line(goal: str, judgement: Judgement) -> str:
    """The verdict in a line, and whether the method holds a certificate."""
    if goal == "none":
        sound = judgement.verdict is Verdict.PASS
        return "Baseline: sound." if sound else "Baseline: not sound."
    reach = "against reference models" if 1 in judgement.tiers else "for obvious failures only"
    said = f"{OPENINGS[judgement.verdict]}, checked {reach}."
    if judgement.leans:
        said = "Passed with certificate: too few images for a test of their own."
    held = judgement.certificate
    return f"{said} {UNCERTIFIED if held is None else CERTIFIED.format(granted=held.granted)}"


def statement(goal: str, judgement: Judgement) -> str:
    """What may be said to a data protection officer, and no more."""
    gates = [finding for finding in judgement.findings if finding.verdict is not None]
    named = [finding.test for finding in gates if finding.verdict is judgement.verdict]
    said = STATEMENTS[template(goal, judgement)].format(
        gates=len(gates),
        named=len(named),
        names=", ".join(named),
        reason=judgement.reason,
        attack=_attack(judgement),
        controls=_controls(judgement),
        asked=max((f.n for f in gates if f.tier == 1), default=0),
        smallest=_smallest(judgement.findings),
    )
    held = judgement.certificate
    return said + _tried(held) if held and judgement.verdict is Verdict.PASS else said


def _smallest(findings: Sequence[Finding]) -> str:
    """The false-discovery rate of the image that stands out most."""
    found = [each.details["smallest_q"] for each in findings if "smallest_q" in each.details]
    return f"{min(found):.2g}" if found else "not known"


def _tried(held: Certificate) -> str:
    facts = asdict(held)
    said = TRIED[held.goal].format(**facts)
    return said if held.epsilon is None else said + TRIED["epsilon"].format(**facts)


def _attack(judgement: Judgement) -> str:
    """The attack that the controls turn on, in numbers."""
    decisive = {control.test for control in judgement.controls}
    measured = [f for f in judgement.findings if f.tier == 1 and f.verdict and f.low is not None]
    found = next((f for f in measured if f.test in decisive and not f.unit), None)
    if found is None:
        return "It found no difference from models that never saw the forgotten images."
    return (
        f"On {found.n} forgotten images it did no better than chance allows: the area under its "
        f"curve is {found.estimate:.3f} (one half is a blind guess), 95 % interval "
        f"{found.low:.3f} to {found.high:.3f}."
    )


def _controls(judgement: Judgement) -> str:
    if not judgement.controls:
        return ""
    if all(control.as_expected for control in judgement.controls):
        return (
            " The same tests see the forgotten images in the old model and have nothing against "
            "models that never saw them."
        )
    return " The same tests did not tell an old model from one that never saw the images."


def limits(nonmembers: str, judgement: Judgement) -> list[str]:
    """What the result does not cover."""
    known = [
        "It concerns these images and this version, and attackers who see the model's outputs.",
        "No attack on the weights themselves was made."
        if 1 in judgement.tiers
        else "No attack with reference models was made, nor one on the weights themselves.",
        "That the model was trained on what its owner says is taken on trust.",
        NONMEMBERS[nonmembers],
    ]
    if judgement.certified:
        known.append(OF_A_METHOD)
    return known + _unseen(judgement.findings)


def worn(part: Mapping[str, Any] | None) -> list[str]:
    """What is to be said where an earlier attempt was judged on the same never-trained images."""
    return [REUSED] if part is not None and part["reused"] else []


def out_of_design(goal: str, method: str | None, designed_for: Sequence[str]) -> list[str]:
    """What is to be said of a method that was designed for other targets; mostly nothing."""
    if goal == "none" or goal in designed_for:
        return []
    designed = " or ".join(GOALS[each] for each in designed_for)
    return [OUT_OF_DESIGN.format(method=method, designed=designed, asked=GOALS[goal])]


def _unseen(findings: Sequence[Finding]) -> list[str]:
    """What the sharpest attack of the highest tier could not have seen."""
    able = [finding for finding in findings if "detectable" in finding.details]
    if not able:
        return []
    sharpest = min(able, key=lambda finding: (-finding.tier, finding.details["detectable"]))
    return [
        (
            f"With {sharpest.n} forgotten images, a membership signal weaker than an area of about "
            f"{sharpest.details['detectable']:.2f} would most likely go unseen."
        )
    ]


def basis(nonmembers: str, sizes: Mapping[str, int]) -> Mapping[str, object]:
    """Which images stand for never-trained ones, and why they may."""
    return {
        "kind": nonmembers,
        "n": sizes.get("nonmembers", 0),
        "basis": NONMEMBERS[nonmembers],
    }


def sentences() -> Sequence[str]:
    """Every template there is, for the search for words that promise too much."""
    certificates = [UNCERTIFIED, CERTIFIED, OF_A_METHOD, *TRIED.values()]
    return [*STATEMENTS.values(), *NONMEMBERS.values(), OUT_OF_DESIGN, REUSED, *certificates]
