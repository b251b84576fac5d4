"""Ratios: what is counted, what holds, and what is on the page."""

import json
import re
from pathlib import Path

import pytest
import torch

from benchmarks import apart, nets, pace, performance, record
from benchmarks.bed import FULL, HALF, RESNET, flops
from benchmarks.goals import BARS, Bar
from benchmarks.measure import Images, Net
from workers.data.pixels import Resident
from workers.kinds import Samples, Step, Steps

README = record.ROOT / "benchmarks" / "README.md"


def steps(total: int) -> Steps:
    return (Step(done=done, total=total) for done in range(1, total + 1))


def test_runs_take_turns_and_a_run_that_ends_early_keeps_its_pace() -> None:
    seen: list[str] = []

    def told(name: str, total: int) -> Steps:
        for step in steps(total):
            seen.append(name)
            yield step

    paces = pace.side_by_side({"a": told("a", 500), "b": told("b", 8)}, block=4)

    assert seen == [*"aaabbb", *"aaaabbbb", *"aaaab", *"aaaa"]
    assert (paces["a"].steps, paces["b"].steps) == (500, 8)
    assert paces["a"].whole == pytest.approx(500 * paces["a"].step)


def test_a_run_in_a_process_of_its_own_gives_its_steps_and_ends() -> None:
    found = apart.steps(steps, 3)

    assert [(step.done, step.total) for step in found] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("net", "multiplications"),
    [(HALF, 86_852_544), (FULL, 344_754_048), (RESNET, 555_422_720)],
    ids=["half", "full", "resnet18"],
)
def test_flop_are_those_of_the_multiplications_counted_by_hand(
    net: Net, multiplications: int
) -> None:
    labels = torch.arange(10)
    pixels = Resident(torch.zeros(10, 32, 32, 3, dtype=torch.uint8))
    images = Images(Samples(pixels, labels, labels), ids=[], train=labels == 0)

    assert flops(nets.built(net, images, seed=0))[0] == 2 * multiplications


@pytest.mark.parametrize(
    ("bar", "value", "holds"),
    [
        (Bar("higher", 2.0, 3.0), 2.0, True),
        (Bar("higher", 2.0, 3.0), 1.9, False),
        (Bar("lower", 2.0, 1.0), 2.1, False),
        (Bar("lower", None, None), 2.1, None),
    ],
)
def test_a_bar_holds_from_its_own_side(bar: Bar, value: float, holds: bool | None) -> None:
    assert bar.holds(value) is holds


def test_ratios_of_another_machine_are_not_mixed_with_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, name = tmp_path / "performance.json", "G0_same_predictions"
    performance.keep(path, {name: performance.entry(name, 0.999, 1.0) | {"group": "precision"}})
    ours = performance.kept(path)

    monkeypatch.setattr(record, "machine", lambda: {"cores": 64})

    assert ours[name]["value"] == 0.999
    assert performance.kept(path) == {}


def test_the_page_says_what_misses_and_what_was_not_measured(tmp_path: Path) -> None:
    name = "G7_shrink_over_expanding"
    path = tmp_path / "performance.json"
    performance.keep(path, {name: performance.entry(name, 1.5, 1.0)})

    page = performance.page([json.loads(path.read_text())])

    assert f"| `{name}` | 1.5 | ≤ 1.25 | ≤ 1.15 | **no** |" in page
    assert "Not measured here: `G0_same_predictions`" in page
    assert page.endswith("## On a GPU\n\nNot measured yet.\n")


def test_every_goal_is_explained() -> None:
    told = set(re.findall(r"`(G\d+)`", README.read_text()))

    assert {name.partition("_")[0] for name in BARS} == told
