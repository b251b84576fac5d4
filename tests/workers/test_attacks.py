"""An attack on images that somebody picked: what innocent models show is taken off."""

from math import sqrt

import drawn
import numpy as np
import pytest
from scipy import stats

from workers.attacks import Attack, Told, outlook, usual, weighed
from workers.evidence import Evidence, Finding, Verdict
from workers.people import Pair
from workers.statistics import Auc, Floats, Ints, auc, equivalence

DRAWS, MEMBERS, OTHERS, OUT, STEPS = 200, 200, 800, 4, 10
ALONE = Pair(np.arange(MEMBERS), MEMBERS + np.arange(OTHERS))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Whatever: only its level and its chance are asked for."""
    return drawn.evidence(drawn.Law())


def attacks(rng: np.random.Generator, picked: float, residue: float) -> list[Attack]:
    """Images of all hardnesses, members `picked` harder; models agree but for noise.

    Each model that never saw them has its turn, and the others say how hard the images are.
    """
    truth = rng.normal(size=MEMBERS + OTHERS)
    truth[:MEMBERS] -= picked
    models = truth + rng.normal(size=(OUT, len(truth)))
    known = np.arange(len(truth)) < MEMBERS
    before, after = (truth + rng.normal(size=len(truth)) + rise * known for rise in (2.0, residue))
    made = []
    for turn in range(OUT):
        hardness = np.delete(models, turn, 0).mean(0)
        ours, theirs = steps(hardness[:MEMBERS], hardness[MEMBERS:])
        made.append(
            Attack(
                before=told(before), after=told(after), never_saw=told(models[turn]),
                ours=ours, theirs=theirs, people=ALONE,
            )
        )  # fmt: skip
    return made


def told(margins: Floats) -> Told:
    return Told(margins[:MEMBERS], margins[MEMBERS:])


def steps(ours: Floats, theirs: Floats) -> tuple[Ints, Ints]:
    edges = np.quantile(theirs, np.linspace(0, 1, STEPS + 1)[1:-1])
    return np.searchsorted(edges, ours), np.searchsorted(edges, theirs)


def findings(evidence: Evidence, picked: float, residue: float, *, beside: bool) -> list[Finding]:
    rng, found = np.random.default_rng(5), []
    for _ in range(DRAWS):
        made = attacks(rng, picked, residue)
        found.append(weighed("rmia.auc", evidence, made[0], 0.01, made if beside else ()))
    return found


def failed(found: list[Finding]) -> int:
    return sum(each.verdict is Verdict.FAIL for each in found)


@pytest.mark.parametrize("picked", [0.0, 1.0])
def test_a_model_without_residue_is_rarely_accused_of_picked_images(
    evidence: Evidence, picked: float
) -> None:
    found = findings(evidence, picked, 0.0, beside=True)

    assert failed(found) <= 0.05 * DRAWS + 2 * sqrt(0.05 * 0.95 * DRAWS)


def test_by_matching_alone_it_would_be(evidence: Evidence) -> None:
    assert failed(findings(evidence, 1.0, 0.0, beside=False)) > 0.5 * DRAWS


def test_a_residue_is_seen_all_the_same(evidence: Evidence) -> None:
    assert failed(findings(evidence, 1.0, 1.0, beside=True)) > 0.95 * DRAWS


def test_nothing_is_taken_off_where_innocent_models_show_nothing(evidence: Evidence) -> None:
    rng = np.random.default_rng(5)
    found = [usual(attacks(rng, 0.0, 0.0)) for _ in range(DRAWS)]

    assert sum(each is not None for each in found) < 0.15 * DRAWS


@pytest.mark.parametrize("left", [0.0, 0.2, 0.4])
def test_the_outlook_is_how_often_so_much_of_a_trace_passes_and_fails(left: float) -> None:
    rng, limit = np.random.default_rng(5), 0.05

    def drawn(area: float) -> Floats:
        return rng.normal(sqrt(2) * stats.norm.ppf(area), 1, size=400)

    def seen(area: float) -> Auc:
        return auc(drawn(area), rng.normal(size=2000))

    told = outlook(seen(0.8), seen(0.5), limit, 0.05)
    verdicts = [equivalence(seen(0.5 + 0.3 * left), limit).verdict for _ in range(DRAWS)]

    at = told["left"].index(left)
    assert verdicts.count(Verdict.PASS) / DRAWS == pytest.approx(told["passes"][at], abs=0.1)
    assert verdicts.count(Verdict.FAIL) / DRAWS == pytest.approx(told["fails"][at], abs=0.1)
