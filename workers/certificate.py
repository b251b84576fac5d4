"""Whether a method earns its certificate, by what shadows showed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models_store import tables
from models_store.life import Goal, Grant
from workers import canaries, gates, shadows
from workers.evidence import Certificate, Finding, Verdict
from workers.roles import Role
from workers.shadows import Area
from workers.showings import Showing, table
from workers.statistics import auc

MARGIN = 0.05
"""Largest distance of an area from one half that counts as none; or a quarter of the control's."""
LEAST = 3
"""Runs of which something must be left."""
MEMORISED = 0.1
"""The share of rows that count as those which nets memorise most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """The outcome."""

    verdict: Grant
    reason: str
    findings: Sequence[Finding]


def weigh(findings: Sequence[Finding]) -> Certified:
    """Any failed gate refuses the certificate; else any that could not tell leaves it open."""
    decided = [each for each in findings if each.verdict is not None]
    for verdict, grant in (
        (Verdict.FAIL, Grant.REFUSED),
        (Verdict.INCONCLUSIVE, Grant.INCONCLUSIVE),
    ):
        named = [f"{each.test}: {each.reason}" for each in decided if each.verdict is verdict]
        if named:
            return Certified(verdict=grant, reason=" ".join(named), findings=findings)
    reason = f"All of {len(decided)} gates passed."
    return Certified(verdict=Grant.GRANTED, reason=reason, findings=findings)


def of_samples(
    showings: Sequence[Showing], canary: Showing, gone: Tensor, attempt: int = 1
) -> Certified:
    """A method that forgets samples.

    Args:
        showings: of the shadows, in the order of their numbers.
        canary: of the run with canaries.
        gone: (m,) int64: rows that somebody has had forgotten meanwhile; nothing is said of them.
        attempt: how often this certificate was tried for; what passes must pass at a level so much
            stricter.
    """
    seen, alpha = table(showings, gone), 0.05 / attempt
    kept, out, unlearned = (seen.roles == role for role in Role)
    before = shadows.attack(seen.before, ~out, out)
    after = shadows.attack(seen.after, unlearned, out)
    known = shadows.area(before, ~out, out)
    found = shadows.area(after, unlearned, out)
    retained = shadows.area(shadows.attack(seen.after, kept, out), kept, out)
    level = shadows.memorised(seen.before, ~out, out)
    most = level >= np.quantile(level, 1 - MEMORISED, axis=1, keepdims=True)
    fell, n = _fell(showings, gone)
    findings = [
        gates.control("control.members", known),
        gates.below("unlearned.auc", found, 0.5 + _margin(known), alpha),
        gates.rate(
            "unlearned.tpr",
            shadows.found(after, unlearned, out, gates.FPR),
            int(unlearned.sum(1).mean()),
            alpha,
        ),
        gates.records("records.differ", shadows.differences(seen.after, seen.roles)),
        gates.told("retained.auc", retained),
        gates.drop("utility.drop", fell, n, alpha),
        gates.epsilon("canaries.epsilon", *_guesses(_left(canary, gone))),
    ]
    if ((unlearned & most).any(1) & (out & most).any(1)).all():
        area = shadows.area(after, unlearned & most, out & most)
        limit = gates.MEMORISED_LIMIT
        findings.append(gates.beside(gates.below("unlearned.memorised", area, limit, alpha)))
    return weigh(findings)


def _margin(known: Area) -> float:
    """Of what the same attack saw before, a quarter may be left at the most."""
    return min(MARGIN, max(0.0, known.value - 0.5) / 4)


def _fell(showings: Sequence[Showing], gone: Tensor) -> tuple[list[float], int]:
    """By how much accuracy on rows that were never trained on fell, and on how many a shadow."""
    left = [_left(each, gone) for each in showings]
    unseen = [each.of(each.roles == Role.OUT) for each in left]
    fell = [_share(each.right_before) - _share(each.right_after) for each in unseen]
    return fell, min(len(each.rows) for each in unseen)


def _guesses(canary: Showing) -> list[canaries.Guesses]:
    """Of the coins, from the nets before and after."""
    shown = (canary.roles == Role.UNLEARN).numpy()
    return [canaries.guess(margins.numpy(), shown) for margins in (canary.before, canary.after)]


# ---- classes -------------------------------------------------------------------------------------


def of_classes(
    runs: Sequence[tuple[Showing, Showing]], gone: Tensor, attempt: int = 1
) -> Certified:
    """A method that forgets a class, each run another one, beside a net retrained without it.

    Within the class, images that were trained on meet such that were not: a net that never saw the
    class cannot tell them apart, and an attack across classes would always succeed.

    Args:
        runs: what the shadow, and the net retrained on what it kept, say of the same rows.
        gone, attempt: as for samples.

    Raises:
        ValueError: of too few runs anything is left.
    """
    alpha = 0.05 / attempt
    left = [(_left(shadow, gone), _left(twin, gone)) for shadow, twin in runs]
    left = [pair for pair in left if _has_both(pair[0])]
    if len(left) < LEAST:
        raise ValueError("Too much has been forgotten meanwhile: order the certificate anew.")
    ours, retrained = [shadow for shadow, _ in left], [twin for _, twin in left]
    known = _areas([(each, each.before) for each in ours])
    found = _areas([(each, each.after) for each in ours])
    clean = _areas([(each, each.after) for each in retrained])
    margin = _margin(known)
    stay = [each.labels != _class(each) for each in ours]
    fell = [
        _share(twin.right_after[rows]) - _share(each.right_after[rows])
        for each, twin, rows in zip(ours, retrained, stay, strict=True)
    ]
    learned = [each.of(each.roles == Role.UNLEARN) for each in ours]
    unseen = [
        each.of((each.roles == Role.OUT) & ~rows) for each, rows in zip(ours, stay, strict=True)
    ]
    return weigh(
        [
            gates.control("control.same_class", known),
            gates.innocent("control.never_saw", clean),
            gates.within("same_class.margin", found, margin, alpha),
            *(
                gates.forgotten(
                    f"forgotten.{name}",
                    [_share(each.right_after) for each in rows],
                    sum(len(each.rows) for each in rows),
                )
                for name, rows in (("d_f", learned), ("d_ft", unseen))
            ),
            gates.drop("utility.drop", fell, min(int(rows.sum()) for rows in stay), alpha),
        ]
    )


def _left(showing: Showing, gone: Tensor) -> Showing:
    return showing.of(~torch.isin(showing.rows, gone))


def _has_both(showing: Showing) -> bool:
    """Are there images of the class left that it was trained on, and others that it was not?"""
    learned = showing.roles == Role.UNLEARN
    if not learned.any():
        return False
    return bool(((showing.roles == Role.OUT) & (showing.labels == _class(showing))).any())


def _class(showing: Showing) -> int:
    """Which one the run has forgotten."""
    return int(showing.labels[showing.roles == Role.UNLEARN][0])


def _areas(told: Sequence[tuple[Showing, Tensor]]) -> Area:
    """The mean over runs of the area within the class."""
    values, rows = [], 0
    for showing, margins in told:
        learned = showing.roles == Role.UNLEARN
        unseen = (showing.roles == Role.OUT) & (showing.labels == _class(showing))
        values.append(auc(margins[learned].numpy(), margins[unseen].numpy()).value)
        rows += int(learned.sum() + unseen.sum())
    variance = float(np.var(values, ddof=1)) / len(values)
    return Area(value=float(np.mean(values)), variance=variance, shadows=len(values), rows=rows)


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())


# ---- shown ---------------------------------------------------------------------------------------


def shown(row: tables.Certificate) -> Certificate:
    """A certificate that was granted, as a report names it."""
    assert row.granted_at is not None
    figures = {found["test"]: found for found in row.figures or []}
    area = figures["unlearned.auc" if row.goal is Goal.SAMPLES else "same_class.margin"]
    told = figures.get("canaries.epsilon", {})
    return Certificate(
        id=str(row.id),
        granted=row.granted_at.date().isoformat(),
        goal=row.goal,
        size=row.size,
        shadows=row.shadows,
        area=area["estimate"],
        high=area["high"],
        epsilon=told.get("estimate"),
        epsilon_before=told.get("before"),
    )
