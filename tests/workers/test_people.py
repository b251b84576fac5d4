"""Images of one person are not as many witnesses: by brute force, and by simulation."""

from dataclasses import replace
from math import sqrt

import drawn
import numpy as np
import pytest
import torch
from drawn import FORGET, ROWS, Law

from workers.audits.exchangeability import Exchangeability
from workers.data.pixels import Resident
from workers.evidence import Evidence, Finding, Verdict
from workers.inference import influence, rate
from workers.people import Pair, area, crowding, thinned, widening
from workers.statistics import Floats, Ints, auc, equivalence, true_positives

DRAWS = 300
CHANCE = 2 * sqrt(0.05 * 0.95 * DRAWS)


def crowd(rng: np.random.Generator, people: int, each: int, first: int = 0) -> tuple[Floats, Ints]:
    """Scores of as many images of each person; half of the variance is the person's."""
    whose = np.repeat(np.arange(first, first + people), each)
    scores = np.repeat(rng.normal(size=people), each) + rng.normal(size=people * each)
    return scores, whose


def zeros(*sides: Floats) -> Pair:
    return Pair(*(np.zeros(len(side), np.int64) for side in sides))


def accused(people: int, *, counted: bool) -> int:
    """How often models without residue fail: people forgotten, 20 images each, 100 never seen."""
    rng, failed = np.random.default_rng(1), 0
    for _ in range(DRAWS):
        (mine, ours), (yours, theirs) = crowd(rng, people, 20), crowd(rng, 100, 10, 1000)
        alone = Pair(np.arange(len(mine)), len(mine) + np.arange(len(yours)))
        seen = area(mine, yours, zeros(mine, yours), Pair(ours, theirs) if counted else alone)
        failed += equivalence(seen, 0.01).verdict is Verdict.FAIL
    return failed


@pytest.mark.parametrize("people", [1, 3, 20])
def test_people_who_are_hard_by_chance_accuse_no_model(people: int) -> None:
    assert accused(people, counted=True) <= 0.05 * DRAWS + CHANCE
    assert accused(people, counted=False) > 0.2 * DRAWS


def test_a_rate_among_few_people_accuses_no_model() -> None:
    rng, found = np.random.default_rng(2), []
    for _ in range(DRAWS):
        (mine, ours), (yours, theirs) = crowd(rng, 10, 30), crowd(rng, 200, 10, 1000)
        raw = true_positives(mine, yours, 0.05)
        found.append((rate(thinned(raw, mine, yours, Pair(ours, theirs)), 0.1), rate(raw, 0.1)))

    fair, naive = ([each[i].verdict for each in found].count(Verdict.FAIL) for i in (0, 1))
    assert fair <= 0.05 * DRAWS + CHANCE
    assert naive > 2 * fair


def test_the_variance_is_that_of_drawing_people_anew() -> None:
    rng = np.random.default_rng(3)
    (mine, ours), (yours, theirs) = crowd(rng, 60, 8), crowd(rng, 90, 6, 1000)
    seen = area(mine, yours, zeros(mine, yours), Pair(ours, theirs))

    drawn = []
    for _ in range(DRAWS):
        forgotten, others = rng.integers(60, size=60), rng.integers(90, size=90)
        again = mine.reshape(60, 8)[forgotten].ravel(), yours.reshape(90, 6)[others].ravel()
        drawn.append(auc(*again).value)

    assert sqrt(seen.variance) == pytest.approx(np.std(drawn), rel=0.2)


def test_who_stands_alone_counts_in_full() -> None:
    rng = np.random.default_rng(4)
    mine, yours = rng.normal(size=50), rng.normal(size=400)
    alone = Pair(np.arange(50), np.arange(50, 450))
    raw = true_positives(mine, yours, 0.05)

    assert area(mine, yours, zeros(mine, yours), alone) == auc(mine, yours)
    assert thinned(raw, mine, yours, alone) == raw


def test_a_person_whose_images_are_on_both_sides_is_compared_with_himself() -> None:
    """A class is a person: some of his images were trained on, and some were not."""
    rng = np.random.default_rng(5)
    mine, yours = rng.normal(size=60), rng.normal(size=80)
    him = Pair(np.zeros(60, np.int64), np.zeros(80, np.int64))
    parts = influence(mine, yours, *zeros(mine, yours))

    assert widening(parts, zeros(mine, yours), him) == 1.0
    assert crowding(mine - mine.mean(), yours - yours.mean(), him) == (1.0, 1.0)


def test_where_nobody_can_say_how_people_differ_a_person_counts_once() -> None:
    rng = np.random.default_rng(6)
    mine, yours = rng.normal(size=60), rng.normal(size=80)

    by = crowding(mine, yours, Pair(np.zeros(60, np.int64), np.arange(1, 81)))

    assert by == pytest.approx((60.0, 1.0))


def test_people_on_both_sides_do_not_widen_what_they_share() -> None:
    rng = np.random.default_rng(7)
    scores, whose = crowd(rng, 100, 10)
    half = np.arange(len(scores)) % 2 == 0
    mine, yours = scores[half], scores[~half]
    parts = influence(mine, yours, *zeros(mine, yours))

    apart = widening(parts, zeros(mine, yours), Pair(whose[half], 1000 + whose[~half]))
    shared = widening(parts, zeros(mine, yours), Pair(whose[half], whose[~half]))

    assert apart > 2
    assert shared < 1.5


# ---- the hold-out ------------------------------------------------------------------------------


def faces(people: int) -> Evidence:
    """Everybody has his own brightness: the forgotten ones, and those never seen, 20 images each."""
    chance = torch.Generator().manual_seed(4)
    of = torch.arange(ROWS) // 20 + people
    of[:FORGET] = torch.arange(FORGET) * people // FORGET
    bare = drawn.evidence(Law())
    assert bare.samples is not None
    shade = torch.randint(60, 190, (int(of.max()) + 1,), generator=chance)
    noise = torch.randint(-9, 9, (ROWS, 8, 8, 1), generator=chance)
    images = (shade[of][:, None, None, None] + noise).to(torch.uint8)
    return replace(bare, people=of, samples=replace(bare.samples, pixels=Resident(images)))


def exchangeable(evidence: Evidence) -> Finding:
    (finding,) = Exchangeability().ask(evidence)
    return finding


def test_a_hold_out_of_other_people_is_not_taken_for_one_from_elsewhere() -> None:
    seen = faces(8)

    assert exchangeable(seen).details["valid"]
    assert not exchangeable(replace(seen, people=None)).details["valid"]


def test_too_few_people_cannot_tell_a_source_from_a_person() -> None:
    finding = exchangeable(faces(3))

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "too few people" in finding.reason
