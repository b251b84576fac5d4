"""Copies that stay behind are found, and a failure says so."""

from dataclasses import replace

import drawn
import pytest
import torch
from drawn import FORGET, RETAIN, ROWS, Law
from torch import Tensor

from workers.audits.duplicates import Duplicates
from workers.data.pixels import Resident
from workers.evidence import Evidence, Finding, Verdict
from workers.kinds import Samples
from workers.verdicts import judge

KEPT = torch.arange(FORGET, FORGET + RETAIN)
COPIED = 40


def pictured(copies: Tensor | None = None, *, law: Law | None = None) -> Evidence:
    """Pictures by chance, the same for all; the first retained ones are `copies`."""
    chance = torch.Generator().manual_seed(3)
    images = torch.randint(40, 215, (ROWS, 8, 8, 1), generator=chance, dtype=torch.uint8)
    if copies is not None:
        images[KEPT[: len(copies)]] = copies
    bare = drawn.evidence(law or Law())
    assert bare.samples is not None
    return replace(
        bare,
        parts={**bare.parts, "kept": KEPT},
        samples=Samples(Resident(images), bare.samples.labels, torch.arange(ROWS)),
    )


def originals() -> Tensor:
    samples = pictured().samples
    assert samples is not None
    return samples.pixels.gather(torch.arange(COPIED))


def found(evidence: Evidence) -> Finding:
    (finding,) = Duplicates().ask(evidence)
    return finding


def brighter(images: Tensor) -> Tensor:
    return (images.float() * 0.9 + 12).to(torch.uint8)


def test_among_unrelated_pictures_there_are_no_copies() -> None:
    finding = found(pictured())

    assert finding.estimate is not None
    assert finding.estimate < 0.01
    assert finding.details == {"exact": 0, "telling": False}


def test_the_same_pixels_are_found_one_by_one() -> None:
    finding = found(pictured(originals()[:3]))

    assert finding.details == {"exact": 3, "telling": True}
    assert "copy" in finding.reason


@pytest.mark.parametrize(
    "copies", [brighter(originals()), originals().flip(2)], ids=["brighter", "mirrored"]
)
def test_what_was_changed_a_little_is_found_too(copies: Tensor) -> None:
    finding = found(pictured(copies))

    assert finding.details == {"exact": 0, "telling": True}
    assert finding.estimate == pytest.approx(COPIED / FORGET, abs=0.01)


def test_a_failure_beside_copies_says_so_and_a_pass_does_not() -> None:
    failed = judge(pictured(originals(), law=Law(after=0.5)), tier=1)
    passed = judge(pictured(originals()), tier=1)
    without = judge(pictured(law=Law(after=0.5)), tier=1)

    assert failed.verdict is without.verdict is Verdict.FAIL
    assert "copy" in failed.reason
    assert "copy" not in without.reason
    assert passed.verdict is Verdict.PASS
    assert "copy" not in passed.reason
