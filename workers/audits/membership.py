"""Can an attacker tell forgotten images from images that were never trained on?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from annotated_types import Gt, Lt
from scipy import stats
from torch import Tensor

from workers.evidence import Audit, Evidence, Finding, Scores, Verdict
from workers.inference import Influence, influence, shift
from workers.people import Pair, area, loosened, whose, widening
from workers.signals import comparable, labels, margin, rows
from workers.statistics import Auc, equivalence, true_positives

Z95 = float(stats.norm.ppf(0.95))


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Audit):
    """A logit-margin attack: forgotten images against never-trained images of the same classes.

    `auc` is the chance that a forgotten image has the larger margin of the two; 0.5 is what a
    model without any residue scores, and *less* is a tell as well. Images are compared within
    their class only: across classes the attack would measure that the class is gone. `tpr` is the
    share of forgotten images found by an attack that accuses 1 % of the others, where there are
    enough others to see that; `ks` compares the two distributions as wholes. `retained` is the
    same area for the retain set: what protection the people have who stay, and a gate: it must not
    surely rise by more than `retained_limit`, for then the new version harms people whom nobody
    asked about. The others only report. This tier has no reference models, and an attack this weak
    cannot clear a model; nor may it keep the old version in service, which leaks more. The details
    say how a margin of min(0.05, a quarter of what the attack sees in the version before) would
    read the area, with the power of that reading.

    Source: Yeom et al., CSF 2018 (one global threshold), with the signal of Carlini et al., "LiRA",
    S&P 2022, eq. 3; DeLong et al., Biometrics 44 (1988); strict rates and their exact intervals
    after Clopper and Pearson (1934); equivalence after Schuirmann (1987).
    """

    compares: ClassVar[tuple[str, ...]] = ("membership",)
    fpr: Annotated[float, Gt(0), Lt(1)] = 0.01
    """Share of never-trained images that the `tpr` attack may accuse."""
    margin: Annotated[float, Gt(0), Lt(0.5)] = 0.05
    """Largest distance of the area from one half that counts as none."""
    retained_limit: Annotated[float, Gt(0), Lt(0.5)] = 0.02
    """Largest rise of the retain set's area that passes, unless chance explains more."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`auc`, `tpr`, `ks` where something was forgotten, and `retained`."""
        kept = _attack("membership.retained", evidence, rows(evidence, "retain"))
        if evidence.goal == "none":
            return [kept]
        forget = rows(evidence, "forget")
        found = _attack("membership.auc", evidence, forget, self)
        return [
            found,
            self._rate(evidence, forget),
            _distributions(evidence, forget),
            self._protected(evidence, kept),
        ]

    def _protected(self, evidence: Evidence, kept: Finding) -> Finding:
        """The retain set's area, with a gate on how much it rose on the same images."""
        if kept.estimate is None:
            return kept
        ours, others = comparable(evidence, rows(evidence, "retain"))
        before, after = (
            _parts(s.of(ours), s.of(others)) for s in (evidence.before, evidence.after)
        )
        classes = Pair(*(labels(evidence, chosen).numpy() for chosen in (ours, others)))
        by = widening(after.less(before), classes, whose(evidence, ours, others))
        rise, spread = shift(loosened(before, by), loosened(after, by))
        # All that is known of few images is that they are few: what is not surely worse passes.
        surely = rise - Z95 * spread
        failed = surely > self.retained_limit
        bound = rise + Z95 * spread
        return replace(
            kept,
            gate=f"The area of the retain set does not surely rise by more than "
            f"{self.retained_limit}.",
            allowed=(0.0, before.value + self.retained_limit + Z95 * spread),
            verdict=Verdict.FAIL if failed else Verdict.PASS,
            reason=f"It rose by {rise:+.3f}, surely by at most {bound:.3f}.",
            details={**kept.details, "rise": rise, "upper_bound_95": bound},
            p_value=float(stats.norm.sf((rise - self.retained_limit) / spread)),
        )

    def reading(self, before: Auc, after: Auc) -> Mapping[str, Any]:
        """How the area would be judged, and whether the attack saw anything before."""
        seen = before.interval(0.95)
        limit = min(self.margin, abs(seen.value - 0.5) / 4)
        if seen.low < 0.55 or limit == 0.0:
            return {"seen_before": False, "low_before": seen.low}
        reading = equivalence(after, limit)
        return {
            "seen_before": True,
            "low_before": seen.low,
            "margin": limit,
            "reading": str(reading.verdict),
            "sentence": reading.reason,
            "power": reading.power,
            "detectable": reading.detectable,
            "residue": (after.value - 0.5) / (before.value - 0.5),
        }

    def _rate(self, evidence: Evidence, forget: Tensor) -> Finding:
        test, (ours, others) = "membership.tpr", comparable(evidence, forget)
        if not len(ours):
            return _alone(test)
        before, after = (
            true_positives(margin(s.of(ours)), margin(s.of(others)), self.fpr)
            for s in (evidence.before, evidence.after)
        )
        if not after.resolvable:
            reason = f"{len(others)} never-trained images do not resolve a rate of {self.fpr:.1%}."
            return Finding(test=test, estimate=None, n=len(ours), unit="share", reason=reason)
        return Finding(
            test=test,
            estimate=after.rate.value,
            low=after.rate.low,
            high=after.rate.high,
            n=len(ours),
            before=before.rate.value,
            unit="share",
            details={
                "fpr": self.fpr,
                "nonmembers": len(others),
                "false_positives": after.false_positives,
                "upper_bound_95": after.upper,
            },
        )


def _alone(test: str) -> Finding:
    reason = "There are no images of this part with never-trained images of their class beside."
    return Finding(test=test, estimate=None, reason=reason)


def _attack(
    test: str, evidence: Evidence, members: Tensor, judge: Membership | None = None
) -> Finding:
    ours, others = comparable(evidence, members)
    if not len(ours):
        return _alone(test)
    people = whose(evidence, ours, others)
    before, after = (
        _area(s.of(ours), s.of(others), people) for s in (evidence.before, evidence.after)
    )
    value, low, high = after.interval()
    return Finding(
        test=test,
        estimate=value,
        low=low,
        high=high,
        n=len(ours),
        before=before.value,
        details={
            "nonmembers": len(others),
            "unmatched": len(members) - len(ours),
            **(judge.reading(before, after) if judge else {}),
        },
    )


def _parts(ours: Scores, others: Scores) -> Influence:
    return influence(margin(ours), margin(others), ours.labels.numpy(), others.labels.numpy())


def _area(ours: Scores, others: Scores, people: Pair) -> Auc:
    classes = Pair(ours.labels.numpy(), others.labels.numpy())
    return area(margin(ours), margin(others), classes, people)


def _distributions(evidence: Evidence, forget: Tensor) -> Finding:
    test, (ours, others) = "membership.ks", comparable(evidence, forget)
    if not len(ours):
        return _alone(test)
    (old, old_others), (new, new_others) = (
        (margin(s.of(ours)), margin(s.of(others))) for s in (evidence.before, evidence.after)
    )
    result = stats.ks_2samp(new, new_others)
    return Finding(
        test=test,
        estimate=float(result.statistic),
        n=len(ours),
        before=float(stats.ks_2samp(old, old_others).statistic),
        details={"p_value": float(result.pvalue), "nonmembers": len(others)},
    )
