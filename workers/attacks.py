"""A membership attack, weighed: what it sees in the version before, and what is left of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from workers.evidence import Evidence, Finding, Verdict
from workers.inference import Influence, influence, mean, residue, shift
from workers.people import Pair, loosened, stretched, widening
from workers.signals import rng
from workers.statistics import Z975, Auc, Floats, Ints, auc, equivalence

SEEN = 0.55
"""The area that an attack must surely exceed on the version before, to say anything of the next."""

STEPS = 25
"""Of the shares that `outlook` looks at."""
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
    people: Pair
    """Whom either side's images are of."""
    never_saw: Told | None = None
    """The same attack, by the same references, on a model that never saw the images; None where
    there is none at hand, and one half is taken for what it would come to."""

    def on(self, told: Told) -> Influence:
        """The area under the curve, image by image."""
        return influence(told.members, told.others, self.ours, self.theirs)


def unanswered(test: str, gate: str, reason: str) -> Finding:
    """A gate without what it takes to answer."""
    return Finding(test=test, estimate=None, gate=gate, verdict=Verdict.INCONCLUSIVE, reason=reason)


def limit_of(margin: float, before: Auc) -> float:
    """How far from one half still counts as none: at most a quarter of what there was to see."""
    return min(margin, abs(before.value - 0.5) / 4)


class Seen(NamedTuple):
    """What an attack sees in a version."""

    area: Auc
    parts: Influence


def usual(attacks: Sequence[Attack]) -> Influence | None:
    """What models that never saw the images show, where that is surely not one half.

    No matching is perfect: images that were picked for being hard are harder than those that the
    references take for as hard, and stand out in any model.
    """
    innocent = [attack.on(attack.never_saw) for attack in attacks if attack.never_saw is not None]
    if not innocent:
        return None
    found = mean(innocent)
    away, spread = shift(found.blank(), found)
    return found if abs(away) > Z975 * spread else None


def seen_in(
    version: Callable[[Attack], Told],
    attack: Attack,
    others: Sequence[Attack],
    innocent: Influence | None,
) -> Seen:
    """The area under the curve; beside innocent models the difference to theirs, plus one half.

    On the same images, by the same references, two models differ by what they know. The variance
    is that of correlated areas.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).
    """
    plain = auc(*version(attack), attack.ours, attack.theirs)
    if innocent is None:
        return _crowded(Seen(plain, attack.on(version(attack))), attack)
    found = mean([other.on(version(other)) for other in others])
    rise, spread = shift(innocent, found)
    value = min(1.0, max(0.0, 0.5 + rise))
    area = replace(
        plain,
        value=value,
        variance=spread**2,
        null_variance=max(spread**2, plain.null_variance),
    )
    return _crowded(Seen(area, replace(found.less(innocent), value=value)), attack)


def _crowded(seen: Seen, attack: Attack) -> Seen:
    """Known less well, as far as images of one person are alike."""
    by = widening(seen.parts, Pair(attack.ours, attack.theirs), attack.people)
    return Seen(stretched(seen.area, by), loosened(seen.parts, by))


def weighed(
    test: str, evidence: Evidence, attack: Attack, margin: float, others: Sequence[Attack] = ()
) -> Finding:
    """Is the area one half within min(margin, a quarter of what the attack saw before)?

    Args:
        others: the same attack by references without a model that never saw the images, and on it.
    """
    innocent = usual(others)
    was, now = (
        seen_in(version, attack, others, innocent)
        for version in (attrgetter("before"), attrgetter("after"))
    )
    before, after = was.area, now.area
    seen, value = before.interval(0.95), after.interval(0.95)
    limit = limit_of(margin, before)
    gate = f"The area lies within {limit:.3f} of one half."
    about = {
        "nonmembers": after.others,
        "people": len(set(attack.people.ours.tolist())),
        "before": {"low": seen.low, "high": seen.high},
        "margin": limit,
        "never_saw": 0.5 if innocent is None else innocent.value,
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
        about["residue"] = residue(was.parts, now.parts, rng(evidence))._asdict()
        about["outlook"] = outlook(before, after, limit, evidence.alpha)
    return Finding(
        test=test,
        estimate=value.value,
        low=value.low,
        high=value.high,
        n=after.members,
        gate=gate,
        allowed=(0.5 - limit, 0.5 + limit),
        verdict=verdict,
        reason=reason,
        before=before.value,
        details=about,
        p_value=p_value,
        power=power,
    )


def outlook(before: Auc, after: Auc, limit: float, alpha: float) -> dict[str, Any]:
    """How `equivalence` would read a model that keeps a share of what the attack saw before.

    Returns:
        `left`: shares from 0 to 1; `passes`, `fails`: the chance of either, with images so many;
        `limit`: the share at which the gate's limit lies.
    """
    spread, strict = sqrt(after.null_variance), float(stats.norm.ppf(1 - alpha))
    left = np.linspace(0, 1, STEPS + 1)
    away = left * abs(before.value - 0.5)

    def inside(reach: float) -> Floats:
        """The chance that the estimate lies within so much of one half."""
        high, low = (
            stats.norm.cdf((reach - away) / spread),
            stats.norm.cdf((-reach - away) / spread),
        )
        within: Floats = high - low
        return within

    passes = inside(max(0.0, limit - strict * spread))
    fails = 1 - inside(max(limit, Z975 * spread))
    curves = {"left": left, "passes": passes, "fails": fails}
    said = {name: [round(float(value), 4) for value in curve] for name, curve in curves.items()}
    return {**said, "limit": limit / abs(before.value - 0.5)}


def beside(found: Finding) -> Finding:
    """An attack that stands beside `rmia`: where it is weak it may only fail a model.

    Weak: it hardly sees the version before, or the images are too few for a model without residue
    to be cleared four times in five.
    """
    weak = found.power is None or found.power < ENOUGH
    if found.verdict is not Verdict.INCONCLUSIVE or not weak:
        return found
    return replace(found, gate=None, verdict=None, p_value=None)
