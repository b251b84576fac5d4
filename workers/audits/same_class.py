"""Within a forgotten class: do its training images stand out from its never-trained ones?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt, Lt
from torch import Tensor

from workers.attacks import Attack, Told, beside, unanswered, weighed
from workers.evidence import Audit, Evidence, Finding, Scores
from workers.people import whose
from workers.signals import clean, comparable, labels, margin, within
from workers.statistics import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class SameClass(Audit):
    """For forgotten classes: training images against never-trained ones of the same class. Gates.

    Every attack that sets a forgotten class against others succeeds, even on a model that never
    saw it, and so measures nothing. Within the class a masked logit leaves everything in place
    that the old model knew. `margin` uses the logit margin. `others` uses nothing but the logits
    of the classes that stay (how little entropy they have among themselves), which a mask does not
    touch. Both are read as in `rmia`, and need no references; being weaker, they stand beside it:
    either may fail a model, and each must clear it only where it has the power to.

    Source: our own; the signal is eq. 3 of Carlini et al., "LiRA", S&P 2022.
    """

    tier: ClassVar[int] = 1
    compares: ClassVar[tuple[str, ...]] = ("same_class",)
    controlled: ClassVar[bool] = True
    margin: Annotated[float, Gt(0), Lt(0.5)] = 0.05
    """Largest distance of the area from one half that counts as none."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """`margin` and `others` where a class was forgotten."""
        if evidence.goal == "none" or not evidence.forgotten_classes:
            return []
        ours, others = comparable(evidence, within(evidence, "forget", evidence.forgotten_classes))
        if not len(ours):
            gate = f"The area lies within {self.margin} of one half, or a quarter of what was."
            reason = "There are no never-trained images of the forgotten classes."
            return [unanswered("same_class.margin", gate, reason)]

        def told(signal: Callable[[Scores], Floats]) -> Attack:
            return _attack(evidence, ours, others, signal)

        def stay(scores: Scores) -> Floats:
            return calm(scores, evidence.forgotten_classes)

        return [
            beside(weighed("same_class.margin", evidence, told(margin), self.margin)),
            beside(weighed("same_class.others", evidence, told(stay), self.margin)),
        ]


def calm(scores: Scores, gone: Sequence[int]) -> Floats:
    """Minus the entropy among the logits of the classes that stay: (n,), in nats."""
    stay = [label for label in range(scores.logits.shape[1]) if label not in set(gone)]
    log_p = clean(scores.logits)[:, stay].log_softmax(1)
    found: Floats = (log_p.exp() * log_p).sum(1).numpy()
    return found


def _attack(
    evidence: Evidence, ours: Tensor, others: Tensor, signal: Callable[[Scores], Floats]
) -> Attack:
    before, after = (
        Told(signal(scores.of(ours)), signal(scores.of(others)))
        for scores in (evidence.before, evidence.after)
    )
    own, their = (labels(evidence, chosen).numpy() for chosen in (ours, others))
    people = whose(evidence, ours, others)
    return Attack(before=before, after=after, ours=own, theirs=their, people=people)
