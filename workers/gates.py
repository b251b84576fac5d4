"""The gates of a certificate: each number that shadows showed, held against what it may come to."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from scipy import stats

from workers import canaries
from workers.attacks import ENOUGH, SEEN
from workers.canaries import Guesses
from workers.evidence import Finding, Verdict
from workers.inference import discoveries
from workers.shadows import Area, Found
from workers.statistics import Floats

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SURE = 0.99
"""To refuse takes more confidence than to tell: there are several gates, and an attempt that is open
can be made again with more shadows."""
MEMORISED_LIMIT = 0.60
"""The largest area that passes among the rows that nets memorise most."""
FPR, TPR_LIMIT, TPR_LIMIT_FEW, MANY = 0.01, 0.03, 0.05, 600
"""At so few false accusations so few may be found; in sets smaller than `MANY`, a few more."""
DROP_LIMIT = 0.05
"""Accuracy on rows that were never trained on may surely not fall by more."""
CLASS_LIMIT = 0.01
"""Accuracy on a forgotten class, in the worst run."""
EPSILON_LIMIT, EPSILON_SEEN = 0.1, 1.0
"""What the bound may come to after forgetting, and must come to before."""
TOLD = 0.6
"""The share of right guesses that canaries must be enough to find, for their bound to clear."""


def beside(found: Finding) -> Finding:
    """Without the power to clear, a test that finds nothing reports and does not decide."""
    if found.verdict is FAIL or (found.power is not None and found.power >= ENOUGH):
        return found
    return replace(found, gate=None, verdict=None, reason="Too few to decide by.")


def told(test: str, found: Area) -> Finding:
    """An area that decides nothing."""
    value = found.interval()
    return Finding(test=test, estimate=value.value, low=value.low, high=value.high, n=found.rows)


def control(test: str, found: Area) -> Finding:
    """An attack on nets that have not forgotten yet: who finds nothing there clears nobody."""
    value = found.interval()
    sees = value.low >= SEEN
    reason = f"The attack is surely above an area of {value.low:.3f} only; {SEEN} is needed."
    return replace(
        told(test, found),
        gate=f"Before forgetting the area is surely at least {SEEN}.",
        verdict=PASS if sees else OPEN,
        reason="" if sees else reason,
    )


def innocent(test: str, found: Area) -> Finding:
    """Nets that never saw the class must not be told from themselves, or the attack is at fault."""
    value = found.interval(SURE)
    clear = value.low <= 0.5 <= value.high
    return replace(
        told(test, found),
        gate="Of nets retrained without the class the 99 % interval holds one half.",
        verdict=PASS if clear else OPEN,
        reason="" if clear else f"It reaches from {value.low:.3f} to {value.high:.3f}.",
    )


def below(test: str, found: Area, limit: float, alpha: float) -> Finding:
    """Is an area surely at most `limit`? The attack knows which way to look, so one side counts."""
    value, upper = found.interval(), found.interval(1 - 2 * alpha).high
    verdict = PASS if upper <= limit else OPEN
    if found.interval(SURE).low > 0.5 and value.value > limit:
        verdict = FAIL
    away = (limit - 0.5) / (sqrt(found.variance) or 1.0)
    return replace(
        told(test, found),
        gate=f"The area is surely at most {limit:.3f}.",
        allowed=(0.0, limit),
        verdict=verdict,
        reason=f"It is {value.value:.3f}, surely at most {upper:.3f}.",
        power=float(stats.norm.cdf(away - found.reach(1 - 2 * alpha))),
    )


def within(test: str, found: Area, margin: float, alpha: float) -> Finding:
    """Is an area one half within `margin`? Two one-sided tests over the runs.

    Source: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    value, inner = found.interval(), found.interval(1 - 2 * alpha)
    verdict = PASS if 0.5 - margin <= inner.low and inner.high <= 0.5 + margin else OPEN
    outer = found.interval(SURE)
    if not outer.low <= 0.5 <= outer.high and abs(value.value - 0.5) > margin:
        verdict = FAIL
    away = margin / (sqrt(found.variance) or 1.0)
    return replace(
        told(test, found),
        gate=f"The area lies within {margin:.3f} of one half.",
        allowed=(0.5 - margin, 0.5 + margin),
        verdict=verdict,
        reason=f"It is {value.value:.3f}, 95 % interval {value.low:.3f} to {value.high:.3f}.",
        power=max(0.0, 2 * float(stats.norm.cdf(away - found.reach(1 - 2 * alpha))) - 1),
    )


def rate(test: str, found: Found, forgotten: int, alpha: float) -> Finding:
    """Few are found at few false accusations; of fewer others a threshold for these is a guess.

    Args:
        forgotten: rows that a shadow forgets at once.
    """
    (low, high), (_, upper) = found.bounds(0.975), found.bounds(1 - alpha)
    limit = TPR_LIMIT if forgotten >= MANY else TPR_LIMIT_FEW
    verdict = PASS if upper <= limit else OPEN
    n, enough = int(found.sure), found.others >= 10 / FPR
    if enough and found.bounds((1 + SURE) / 2)[0] > FPR and found.rate > limit:
        verdict = FAIL
    gate = Finding(
        test=test, estimate=found.rate, low=low, high=high, n=n, unit="share",
        gate=f"At {FPR:.0%} false accusations surely at most {limit:.0%} are found.",
        allowed=(0.0, limit), verdict=verdict,
        reason=f"{found.rate:.1%} are found, surely at most {upper:.1%}.",
        power=_clears(n, limit, alpha) if enough else 0.0,
    )  # fmt: skip
    return beside(gate)


def _clears(n: int, limit: float, alpha: float) -> float:
    """The chance that of n rows so few are found at `FPR` that the bound is within the limit."""
    hits = np.arange(int(n * limit) + 1)
    allowed = int((stats.beta.ppf(1 - alpha, hits + 1, np.maximum(n - hits, 0.5)) <= limit).sum())
    return float(stats.binom.cdf(allowed - 1, n, FPR))


def records(test: str, p_values: Floats) -> Finding:
    """How many single rows differ more than chance explains; reported, for shadows are few."""
    flagged = discoveries(p_values)
    return Finding(
        test=test,
        estimate=float((p_values < 0.05).mean()) - 0.05,
        n=len(p_values),
        unit="points",
        details={"flagged_at_10": int((flagged < 0.1).sum()), "smallest_q": float(flagged.min())},
    )


def drop(test: str, fell: Sequence[float], n: int, alpha: float) -> Finding:
    """Accuracy surely falls by at most the limit, over runs; Student's t, for they are few.

    Half an image a run is counted as undecided.

    Args:
        fell: by how much accuracy fell in each run. n: images in a run.
    """
    runs, mean = len(fell), float(np.mean(fell))
    spread = max(float(np.std(fell, ddof=1)), 0.5 / n) / sqrt(runs)
    levels = (0.975, (1 + SURE) / 2, 1 - alpha)
    reach, far, side = (float(stats.t.ppf(level, runs - 1)) * spread for level in levels)
    verdict = PASS if mean + side <= DROP_LIMIT else OPEN
    if mean - far > 0 and mean > DROP_LIMIT:
        verdict = FAIL
    return Finding(
        test=test, estimate=mean, low=mean - reach, high=mean + reach, n=n, unit="points",
        gate=f"Accuracy surely falls by at most {DROP_LIMIT:.0%}.",
        allowed=(-1.0, DROP_LIMIT), verdict=verdict,
        reason=f"It falls by {mean:.1%}, surely by at most {mean + side:.1%}.",
    )  # fmt: skip


def forgotten(test: str, accuracies: Sequence[float], n: int) -> Finding:
    """No run recognises the class that it has forgotten."""
    worst = max(accuracies)
    return Finding(
        test=test, estimate=worst, n=n, unit="share",
        gate=f"In the worst run accuracy is at most {CLASS_LIMIT:.0%}.",
        allowed=(0.0, CLASS_LIMIT), verdict=PASS if worst <= CLASS_LIMIT else FAIL,
        reason=f"It is {worst:.1%}.",
    )  # fmt: skip


def epsilon(test: str, before: Guesses, after: Guesses) -> Finding:
    """The bound that canaries show; it clears only where there are enough of them."""
    was, now = canaries.epsilon(before), canaries.epsilon(after)
    verdict = PASS if now <= EPSILON_LIMIT else OPEN
    if canaries.epsilon(after, SURE) > EPSILON_LIMIT:
        verdict = FAIL
    reason = f"{after.right} of {after.made} guesses are right: epsilon is at least {now:.2f}."
    if verdict is PASS and was < EPSILON_SEEN:
        verdict = OPEN
        reason = f"Before forgetting the canaries show {was:.2f} only; {EPSILON_SEEN} is needed."
    return beside(
        Finding(
            test=test, estimate=now, low=now, n=after.made, unit="nats", before=was,
            gate=f"The lower bound is at most {EPSILON_LIMIT}, and was at least {EPSILON_SEEN} before.",
            verdict=verdict, reason=reason,
            power=canaries.power(after.made, EPSILON_LIMIT, TOLD),
            details={"right": after.right, "right_before": before.right, "level": 0.95},
        )
    )  # fmt: skip
