"""What every file on the shelf of audits must obey, whatever the evidence is."""

import json
from copy import deepcopy
from dataclasses import replace
from inspect import getdoc
from typing import Any

import pytest
import torch
import toy
from torch import Tensor
from toy import GONE, SHELF, World, everything, evidence

from workers.evidence import Audit, Evidence, Finding, Verdict
from workers.verdicts import headline

PARTS = ("forget", "retain", "forget_test", "retain_test", "nonmembers", "recalibration")


@pytest.fixture(scope="module")
def world() -> World:
    return toy.world()


@pytest.fixture(scope="module")
def seen(world: World) -> Evidence:
    """A model retrained without the class, with all that may be compared."""
    return toy.armed(world, evidence(world, world.retrained))


@pytest.fixture(params=SHELF.items(), ids=SHELF.keys())
def audit(request: pytest.FixtureRequest) -> tuple[str, Audit]:
    name, kind = request.param
    return name, kind()


def reseeded(evidence: Evidence, seed: int) -> Evidence:
    return replace(evidence, rng=torch.Generator().manual_seed(seed))


def tensors(evidence: Evidence) -> list[Tensor]:
    assert evidence.references is not None
    scores = [s for s in (evidence.before, evidence.after, evidence.recalibrated) if s]
    return [
        *evidence.model_before.state_dict().values(),
        *evidence.model_after.state_dict().values(),
        *evidence.parts.values(),
        *(table for s in scores for table in (s.rows, s.logits, s.features, s.labels)),
        evidence.rng.get_state(),
        *(evidence.references.margins, evidence.references.trained),
        *(table for r in evidence.retrains for table in (r.scores.logits, r.scores.features)),
    ]


def lawful(name: str, findings: list[Finding]) -> None:
    """What every list of findings must satisfy, whatever the evidence."""
    assert len({finding.test for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.test.partition(".")[0] == name
        json.dumps(vars_of(finding), allow_nan=False)
        assert (finding.verdict is None) == (finding.gate is None)
        assert finding.reason or finding.verdict in {None, Verdict.PASS}
        assert finding.reason or finding.estimate is not None
        assert finding.estimate is not None or finding.verdict is not Verdict.PASS
        if finding.low is not None and finding.high is not None:
            assert finding.low <= (finding.estimate or 0.0) <= finding.high


def vars_of(finding: Finding) -> dict[str, Any]:
    return {field: getattr(finding, field) for field in finding.__dataclass_fields__}


# ---- the law -----------------------------------------------------------------------------------


def test_it_speaks_plainly(audit: tuple[str, Audit], seen: Evidence) -> None:
    name, question = audit

    findings = question.ask(seen)

    assert findings
    lawful(name, findings)


def test_it_changes_nothing(audit: tuple[str, Audit], seen: Evidence) -> None:
    before = deepcopy(tensors(seen))

    audit[1].ask(seen)

    assert all(torch.equal(a, b) for a, b in zip(before, tensors(seen), strict=True))


def test_a_seed_decides_everything(audit: tuple[str, Audit], seen: Evidence) -> None:
    torch.manual_seed(1)
    once = audit[1].ask(reseeded(seen, 5))
    torch.manual_seed(2)

    again = audit[1].ask(reseeded(seen, 5))

    assert once == again


@pytest.mark.parametrize("missing", [*PARTS, "all"])
@pytest.mark.parametrize("goal", ["class", "samples", "none"])
def test_it_survives_empty_parts(
    audit: tuple[str, Audit], seen: Evidence, missing: str, goal: str
) -> None:
    gone = PARTS if missing == "all" else (missing,)
    bare = replace(
        seen,
        parts=toy.emptied(seen.parts, *gone),
        goal=goal,
        forgotten_classes=(GONE,) if goal == "class" else (),
        recalibrated=None if {"recalibration", "forget"} & set(gone) else seen.recalibrated,
        neighbours=None,
        run={},
    )

    lawful(audit[0], audit[1].ask(bare))


@pytest.mark.parametrize("goal", ["class", "samples"])
def test_it_survives_a_forget_set_of_one_sample(
    audit: tuple[str, Audit], world: World, seen: Evidence, goal: str
) -> None:
    one = seen.parts["forget"][:1]
    lone = replace(
        seen,
        parts={**seen.parts, "forget": one},
        goal=goal,
        forgotten_classes=(GONE,) if goal == "class" else (),
        requested=one,
        removed=one,
        neighbours=torch.tensor([0]),
    )

    lawful(audit[0], audit[1].ask(lone))


def test_it_survives_a_model_that_is_broken(audit: tuple[str, Audit], world: World) -> None:
    broken = toy.armed(world, evidence(world, toy.broken(world.original)))

    lawful(audit[0], audit[1].ask(broken))


def test_it_survives_infinite_outputs(audit: tuple[str, Audit], seen: Evidence) -> None:
    logits = seen.after.logits.clone()
    logits[:, GONE] = -torch.inf
    logits[0] = torch.inf

    lawful(audit[0], audit[1].ask(replace(seen, after=replace(seen.after, logits=logits))))


def test_it_says_what_it_measures_and_where_that_comes_from(audit: tuple[str, Audit]) -> None:
    summary, _, rest = (getdoc(type(audit[1])) or "").partition("\n\n")

    assert summary.endswith(".")
    assert "Source:" in rest


def test_every_gate_is_passed_by_a_retrained_model(seen: Evidence) -> None:
    gates = [finding for finding in screened(seen) if finding.verdict]

    assert {finding.test for finding in gates} == {
        "integrity",
        "right_set",
        "forgetting.d_f",
        "forgetting.d_ft",
        "bn_recalibration.d_f",
        "membership.retained",
        "utility.worst_class",
    }
    assert headline(gates) is Verdict.PASS


def screened(seen: Evidence) -> list[Finding]:
    """The findings of tier 0."""
    names = {name for name, kind in SHELF.items() if kind.tier == 0}
    return [f for test, f in everything(seen).items() if test.partition(".")[0] in names]


def test_a_tier_without_references_is_open_and_says_what_to_do(seen: Evidence) -> None:
    found = everything(replace(seen, references=None, retrains=(), samples=None))

    for test in ("rmia.auc", "matched.auc", "per_record.exposed", "worst_decile"):
        assert found[test].verdict is Verdict.INCONCLUSIVE
        assert "lethe pool build" in found[test].reason
    for test in ("repair.prototype", "repair.probe", "redistribution"):
        assert found[test].verdict is Verdict.INCONCLUSIVE
        assert "lethe pool build --without" in found[test].reason
    for test in ("relearn", "exchangeability"):
        assert found[test].verdict is Verdict.INCONCLUSIVE
        assert "not at hand" in found[test].reason


def test_a_baseline_is_asked_only_whether_it_is_sound(world: World) -> None:
    nobody = torch.zeros(0, dtype=torch.int64)

    found = everything(evidence(world, world.original, forget=nobody, classes=(), goal="none"))

    assert [finding.test for finding in found.values() if finding.verdict] == ["integrity"]
    assert found["integrity"].verdict is Verdict.PASS
    assert found["accuracy.d_r"].estimate == 1.0
    assert found["membership.retained"].estimate is not None
