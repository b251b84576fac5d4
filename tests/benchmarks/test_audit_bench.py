"""The bench of the audit goes on where it stopped, and counts every image that a model is shown."""

import json
from math import inf, nan
from pathlib import Path
from typing import Any

import torch
from given import net
from torch import nn

from benchmarks import audit_page
from benchmarks.audit_bench import CASES, SETTINGS, Table, rounded, run, told
from benchmarks.audit_cost import Tally, audited
from benchmarks.measure import Images
from benchmarks.pool import TooLate
from benchmarks.record import Record
from benchmarks.worlds import NOBODY, World
from workers.data.pixels import Resident
from workers.evidence import Control, Finding, Judgement, Verdict
from workers.kinds import Samples

N, CLASSES = 600, 10


def whole() -> World:
    """Two of three images were trained on, the others are for testing."""
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (N, 8, 8, 1), dtype=torch.uint8, generator=chance)
    labels, train = torch.arange(N) % CLASSES, torch.arange(N) % 3 > 0
    samples = Samples(Resident(pixels), labels, torch.arange(N))
    images = Images(samples, [str(row) for row in range(N)], train)
    return World(images, train.nonzero().flatten(), NOBODY)


def nets() -> list[nn.Module]:
    return [net(seed, classes=CLASSES) for seed in (0, 1)]


def table(name: str, done: list[str], *models: str) -> Table:
    def measured(model: str) -> dict[str, Any]:
        done.append(model)
        return {"verdict": "pass"}

    return Table(name, ("model",), [({"model": m}, lambda m=m: measured(m)) for m in models])


# ---- the run -------------------------------------------------------------------------------------


def test_rows_that_are_there_are_not_measured_again(tmp_path: Path) -> None:
    done: list[str] = []
    tables = [table("rows", done, "a", "b"), table("cost", done, "c")]
    file = tmp_path / "made.json"
    run(file, tables[:1], ["a"], inf, again=False)

    left = run(file, tables, [], inf, again=False)

    found = json.loads(file.read_text())
    assert done == ["a", "b", "c"]
    assert left == 0
    assert [row["model"] for row in found["rows"]] == ["a", "b"]
    assert [row["model"] for row in found["cost"]] == ["c"]


def test_no_row_is_begun_once_the_time_is_over(tmp_path: Path) -> None:
    done: list[str] = []

    left = run(tmp_path / "made.json", [table("rows", done, "a", "b")], [], 0.0, again=False)

    assert (left, done) == (2, [])


def test_a_row_that_waits_for_what_is_not_built_is_left(tmp_path: Path) -> None:
    def waits() -> dict[str, Any]:
        raise TooLate

    tables = [Table("rows", ("model",), [({"model": "a"}, waits)])]

    assert run(tmp_path / "made.json", tables, [], inf, again=False) == 1


def test_a_table_can_be_asked_for_alone(tmp_path: Path) -> None:
    done: list[str] = []
    tables = [table("rows", done, "a"), table("cost", done, "c")]

    run(tmp_path / "made.json", tables, ["cost"], inf, again=True)

    assert done == ["c"]


def test_every_row_has_a_key_of_its_own() -> None:
    keys = [tuple(case.key.values()) for case in CASES]

    assert len(set(keys)) == len(keys)


# ---- counting ------------------------------------------------------------------------------------


def test_tier_0_shows_each_image_once_to_each_state_of_a_model() -> None:
    world, (before, after) = whole(), nets()
    tally = Tally(world.images.samples.pixels)

    _, _, images = audited(world, tally, before, after, full=True)

    assert images == N
    assert {state: times.total() for state, times in tally.times.items()} == {
        "before": N,
        "after": N,
        "statistics": len(world.retain(world.forget("class:4"))),
        "recalibrated": len(world.forget("class:4")),
    }
    assert all(set(times.values()) == {1} for times in tally.times.values())


def test_an_image_that_is_shown_twice_is_counted_twice() -> None:
    world, (model, _) = whole(), nets()
    tally = Tally(world.images.samples.pixels)
    tally.watch("model", model.eval())
    counted = Samples(tally, world.images.samples.labels, torch.arange(3))

    for rows in ([0, 1], [1, 2]):
        model(counted.at(torch.tensor(rows))[0])

    assert tally.times["model"] == {0: 1, 1: 2, 2: 1}


# ---- rows and page -------------------------------------------------------------------------------


def judged() -> Judgement:
    found = Finding(
        test="rmia.auc", estimate=0.75, low=0.7, high=0.8, n=9, gate="g", verdict=Verdict.FAIL
    )
    control = Control(
        name="original_must_fail", test="rmia.auc", estimate=nan, low=None, high=None, n=9,
        verdict=Verdict.FAIL, as_expected=True, reason="It does.",
    )  # fmt: skip
    return Judgement(
        verdict=Verdict.FAIL, assurance="tier1", reason="1 of 1 checks failed: rmia.auc.",
        findings=[found], controls=[control], tiers={0: Verdict.PASS, 1: Verdict.FAIL},
    )  # fmt: skip


def test_a_judgement_becomes_a_row_of_finite_numbers() -> None:
    row = told(judged())

    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["tests"]["rmia.auc"]["interval"] == [0.7, 0.8]
    assert row["tests"]["rmia.auc"]["verdict"] == "fail"
    assert row["controls"]["original_must_fail"]["as_expected"]
    assert rounded(inf) is None


def test_the_page_shows_verdicts_residue_and_cost(tmp_path: Path) -> None:
    file = tmp_path / "made.json"
    key = {"data": "slice", "model": "logit_mask", "target": "class:4", "tier": 1}
    Record(file, SETTINGS, tuple(key)).add(key | told(judged()))
    residue = Record(file, SETTINGS, ("seed",), "residue")
    for seed, verdict in enumerate(["fail", "fail", "inconclusive"]):
        residue.add(
            {"kind": "samples", "share": 0.05, "seed": seed, "forgotten": 1000, "rmia_auc": 0.55}
            | {"verdict": verdict}
        )
    Record(file, SETTINGS, ("plan",), "cost").add(
        {"plan": "quick", "method": "boundary_shrink", "images": 9, "forwards": {"after": 9}}
        | {"most": 1, "unlearn_seconds": 10.0, "audit_seconds": 5.0, "ratio": 0.5, "bar": 0.4}
    )

    text = audit_page.written(file)

    assert "| `logit_mask` | fail | 0.750 (0.700–0.800) | 1 of 1 checks failed" in text
    assert "| 5% | samples | 2 of 3 (9%–99%) | 1 | 0 | 0.550 |" in text
    assert "| quick | 9 | 9 after | 1 | 10.0 | 5.0 | 0.50 | 0.4 | no |" in text
