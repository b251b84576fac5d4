"""Do forgotten images stand out against models that never saw them?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import Gt, Lt

from workers.attacks import Attack, Told, unanswered, weighed
from workers.evidence import Audit, Evidence, Finding, Scores
from workers.inference import rate
from workers.people import thinned, whose
from workers.references import MISSING, Pool, Sides, bins, rmia, sides, stand_ins, tuned, view
from workers.signals import labels, margin, rows
from workers.statistics import true_positives

FEW, MANY = 200, 600
STRICT = 1000
STEPS = 10
"""Steps of hardness in a class: the ratio alone does not take all of it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rmia(Audit):
    """RMIA, offline: how much surer is the model of an image than models that never saw it? Gates.

    `auc`: forgotten against never-trained images of the same class and hardness, both ways, within
    a margin that is a quarter of what the same attack sees in the version before, and at most
    `margin`. Where the same attack surely sees something in models of the pool that never saw the
    images, that is taken off: what was picked for being hard is harder than what it is matched with.
    An attack that sees nothing in the version before clears nobody. `tpr` and `tpr_strict`: the share of
    forgotten images found while 1 % (0.1 %) of the others are accused, where the images resolve
    such a rate: 200 forgotten and 1,000 others (1,000 and 10,000). The parameter a is tuned on the
    pool, on retain images. References are models of the same architecture and recipe trained on
    random halves of the data; one that saw an image is no reference for it.

    Source: Zarifzadeh et al., "Low-Cost High-Power Membership Inference Attacks", ICML 2024; margin
    and limits are ours.
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[tuple[str, ...]] = ("rmia",)
    controlled: ClassVar[bool] = True
    margin: Annotated[float, Gt(0), Lt(0.5)] = 0.05
    """Largest distance of the area from one half that counts as none."""
    tpr_limit: Annotated[float, Gt(0), Lt(1)] = 0.03
    """Largest share found at 1 % false accusations, from 600 forgotten images on."""
    tpr_limit_few: Annotated[float, Gt(0), Lt(1)] = 0.05
    """The same for 200 to 599, where a model without residue would seldom pass at less."""
    tpr_limit_strict: Annotated[float, Gt(0), Lt(1)] = 0.01
    """Largest share found at 0.1 % false accusations."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`auc`, `tpr` and `tpr_strict`; none for a baseline."""
        if evidence.goal == "none":
            return []
        found, references = sides(evidence), evidence.references
        if found is None or references is None:
            gate = f"The area lies within {self.margin} of one half, or a quarter of what was."
            return [unanswered("rmia.auc", gate, MISSING)]
        a = tuned(evidence)
        attack = _attack(evidence, found, [view(references, chosen) for chosen in found], a)
        others = list(_others(evidence, found, a))
        area = weighed("rmia.auc", evidence, attack, self.margin, others)
        untested = len(rows(evidence, "forget")) - len(found.ours)
        usual = self.tpr_limit if len(found.ours) >= MANY else self.tpr_limit_few
        return [
            replace(area, details={**area.details, "a": a, "untested": untested}),
            _rate("rmia.tpr", evidence, attack, Rate(0.01, usual, FEW)),
            _rate("rmia.tpr_strict", evidence, attack, Rate(0.001, self.tpr_limit_strict, STRICT)),
        ]


class Rate(NamedTuple):
    """A share of others accused, the largest share found that passes, and whom it takes."""

    fpr: float
    limit: float
    least: int


def _told(scores: Scores, found: Sides, pools: Sequence[Pool], a: float) -> Told:
    pairs = zip(found, pools, strict=True)
    return Told(*(rmia(margin(scores.of(chosen)), pool, a) for chosen, pool in pairs))


def _attack(evidence: Evidence, found: Sides, pools: Sequence[Pool], a: float) -> Attack:
    before, after = (_told(s, found, pools, a) for s in (evidence.before, evidence.after))
    own, their = (labels(evidence, chosen).numpy() for chosen in found)
    ours, theirs = bins(pools[0], pools[1], own, their, STEPS)
    people = whose(evidence, *found)
    return Attack(before=before, after=after, ours=ours, theirs=theirs, people=people)


def _others(evidence: Evidence, found: Sides, a: float) -> Iterator[Attack]:
    """By references that leave out a model which never saw the images, and on it."""
    for other in stand_ins(evidence, found):
        pools = (other.our_pool, other.their_pool)
        never_saw = Told(rmia(other.ours, pools[0], a), rmia(other.others, pools[1], a))
        yield replace(_attack(evidence, found, pools, a), never_saw=never_saw)


def _rate(test: str, evidence: Evidence, attack: Attack, wanted: Rate) -> Finding:
    n, m = len(attack.after.members), len(attack.after.others)
    before, after = (
        true_positives(told.members, told.others, wanted.fpr)
        for told in (attack.before, attack.after)
    )
    if n < wanted.least or not after.resolvable:
        reason = f"{n} forgotten and {m} other images do not resolve a rate at {wanted.fpr:.1%}."
        return Finding(test=test, estimate=None, n=n, unit="share", reason=reason)
    told = thinned(after, *attack.after, attack.people)
    ruling = rate(told, wanted.limit, evidence.alpha)
    return Finding(
        test=test,
        estimate=told.rate.value,
        low=told.rate.low,
        high=told.rate.high,
        n=n,
        unit="share",
        gate=f"At {wanted.fpr:.1%} false accusations surely at most {wanted.limit:.0%} are found.",
        allowed=(0.0, wanted.limit),
        verdict=ruling.verdict,
        reason=ruling.reason,
        before=before.rate.value,
        details={"nonmembers": m, "false_positives": after.false_positives},
        p_value=ruling.p_value,
    )
