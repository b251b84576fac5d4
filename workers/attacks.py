"""A membership attack, weighed: what it sees in the version before, and what is left of that."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from workers.evidence import Evidence, Finding, Verdict
from workers.inference import influence, residue
from workers.signals import rng
from workers.statistics import Auc, Floats, Ints, auc, equivalence

SEEN = 0.55
"""The area that an attack must surely exceed on the version before, to say anything of the next."""

ENOUGH = 0.8
"""Power from which on a supporting attack must clear a model as well."""


class Told(NamedTuple):
    """An attack's score of each forgotten and each never-trained image; larger means member."""

    members: Floats
    others: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack on two versions; images meet only those of their own stratum."""

    before: Told
    after: Told
    ours: Ints
    theirs: Ints


def unanswered(test: str, gate: str, reason: str) -> Finding:
    """A gate without what it takes to answer."""
    return Finding(test=test, estimate=None, gate=gate, verdict=Verdict.INCONCLUSIVE, reason=reason)


def limit_of(margin: float, before: Auc) -> float:
    """How far from one half still counts as none: at most a quarter of what there was to see."""
    return min(margin, abs(before.value - 0.5) / 4)


def weighed(test: str, evidence: Evidence, attack: Attack, margin: float) -> Finding:
    """Is the area one half within min(margin, a quarter of what the attack saw before)?"""
    before, after = (
        auc(told.members, told.others, attack.ours, attack.theirs)
        for told in (attack.before, attack.after)
    )
    seen, value = before.interval(0.95), after.interval(0.95)
    limit = limit_of(margin, before)
    gate = f"The area lies within {limit:.3f} of one half."
    about = {
        "nonmembers": after.others,
        "before": {"low": seen.low, "high": seen.high},
        "margin": limit,
    }
    if seen.low < SEEN:
        reason = (
            f"The attack hardly sees the images in the version before (area {seen.value:.3f}, "
            f"surely above {seen.low:.3f} only; {SEEN} is needed), so it cannot clear this one."
        )
        verdict, p_value, power = Verdict.INCONCLUSIVE, None, None
    else:
        reading = equivalence(after, limit, evidence.alpha)
        verdict, reason, power = reading.verdict, reading.reason, reading.power
        p_value, about["detectable"] = reading.p_value, reading.detectable
        about["residue"] = _left(evidence, attack)
    return Finding(
        test=test,
        estimate=value.value,
        low=value.low,
        high=value.high,
        n=after.members,
        gate=gate,
        verdict=verdict,
        reason=reason,
        before=before.value,
        details=about,
        p_value=p_value,
        power=power,
    )


def beside(found: Finding) -> Finding:
    """An attack that stands beside `rmia`: where it is weak it may only fail a model.

    Weak: it hardly sees the version before, or the images are too few for a model without residue
    to be cleared four times in five.
    """
    weak = found.power is None or found.power < ENOUGH
    if found.verdict is not Verdict.INCONCLUSIVE or not weak:
        return found
    return replace(found, gate=None, verdict=None, p_value=None)


def _left(evidence: Evidence, attack: Attack) -> dict[str, float]:
    """The share of what was to be seen that is left, with its interval."""
    before, after = (
        influence(told.members, told.others, attack.ours, attack.theirs)
        for told in (attack.before, attack.after)
    )
    return residue(before, after, rng(evidence))._asdict()
