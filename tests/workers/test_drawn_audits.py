"""What the pictures are drawn from: curves, maps and bands, against counting by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import toy
from torch import nn
from toy import GONE, World, everything, evidence

from workers.audits.embedding import Embedding
from workers.audits.grad_cam import GradCam, heat
from workers.audits.roc import Roc
from workers.evidence import Evidence, Retrain
from workers.kinds import Samples
from workers.signals import margin


@pytest.fixture(scope="module")
def world() -> World:
    return toy.world()


@pytest.fixture(scope="module")
def seen(world: World) -> Evidence:
    """A masked model, with the pixels and a retrained model at hand."""
    plain = evidence(world, toy.masked(world.original))
    scores = world.scored(world.retrained, plain.after.rows)
    return replace(
        plain,
        samples=world.samples(torch.arange(len(world.labels))),
        retrains=[Retrain(scores=scores, model=lambda: world.retrained)],
    )


# ---- the curve -----------------------------------------------------------------------------------


def test_the_curve_counts_who_lies_strictly_above_each_threshold(seen: Evidence) -> None:
    (found,) = Roc().ask(seen)

    ours = margin(seen.before.of(seen.parts["forget"]))
    others = margin(seen.before.of(seen.parts["forget_test"]))
    for rate, share in zip(found.details["fpr"], found.details["before"], strict=True):
        allowed = [t for t in others if (others > t).mean() <= rate + 1e-12]
        best = max((ours > t).mean() for t in allowed)
        assert share == pytest.approx(1.0 if rate >= 1 else best)


def test_the_curve_has_a_line_for_each_version_within_its_interval(seen: Evidence) -> None:
    details = Roc().ask(seen)[0].details

    assert len(details["retrained"]) == 1
    assert details["after"] == sorted(details["after"])
    assert details["after"][-1] == 1.0
    ends = zip(details["low"], details["after"], details["high"], strict=True)
    assert all(low <= share <= high for low, share, high in ends)
    assert details["resolved"] == 10 / details["nonmembers"]


def test_sixty_images_do_not_resolve_a_rate_of_one_in_a_thousand(seen: Evidence) -> None:
    (found,) = Roc().ask(seen)

    assert (found.estimate, found.before, found.low) == (None, None, None)
    assert "do not resolve" in found.reason
    assert Roc(fpr=0.2).ask(seen)[0].estimate is not None


# ---- the map -------------------------------------------------------------------------------------


def test_the_map_of_a_version_that_did_not_change_is_the_same(seen: Evidence) -> None:
    same = replace(seen, after=seen.before)

    points = Embedding().ask(same)[0].details["points"]

    assert points["before"] == points["after"] != points["retrained"]


def test_a_map_names_neither_rows_nor_their_order(seen: Evidence) -> None:
    details = Embedding(points=20).ask(seen)[0].details

    assert set(details) == {"low", "high", "labels", "points"}
    assert [len(part) for part in details["points"]["after"].values()] == [20, 20, 20]
    turned = replace(seen, rng=torch.Generator().manual_seed(99))
    assert Embedding(points=20).ask(turned)[0].details != details


def test_classes_lie_apart_on_the_map(seen: Evidence) -> None:
    details = Embedding().ask(seen)[0].details

    points = np.array(details["points"]["before"]["retain_test"])
    labels = np.array(details["labels"]["retain_test"])
    centres = {label: points[labels == label].mean(0) for label in set(labels.tolist())}
    nearest = [min(centres, key=lambda c: np.linalg.norm(p - centres[c])) for p in points]
    assert np.mean(np.array(nearest) == labels) > 0.7


# ---- heat maps -----------------------------------------------------------------------------------


class Corner(nn.Module):
    """Class 0 is the brightness of the upper left corner, class 1 that of the lower right one."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv2d(1, 1, 1, bias=False)
        self.decide = nn.Linear(16, 2, bias=False)
        with torch.no_grad():
            self.see.weight.fill_(1.0)
            self.decide.weight.zero_()
            self.decide.weight[0, 0] = self.decide.weight[1, 15] = 1.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.decide(self.see(images).flatten(1))
        return logits


def test_a_heat_map_is_warm_where_the_picture_is_bright_and_the_class_wants_it() -> None:
    raw = torch.zeros(2, 4, 4, 1, dtype=torch.uint8)
    raw[0, 0, 0], raw[0, 2, 2], raw[1, 3, 3] = 255, 51, 100
    everything_ = torch.arange(2)

    maps = heat(Corner(), Samples(toy.Resident(raw), torch.tensor([0, 1]), everything_))

    assert maps[0, 0, 0] == 1.0
    assert maps[0, 2, 2] == pytest.approx(0.2)
    assert maps[1].argmax() == 15
    assert float(maps.sum()) == pytest.approx(2.2)


def test_a_masked_logit_leaves_the_heat_map_as_it_was(seen: Evidence) -> None:
    (found,) = GradCam().ask(seen)

    assert found.details["before"]["forget"] == found.details["after"]["forget"]
    assert set(found.details) == {"before", "after", "retrained"}


def test_no_mean_is_kept_of_a_few_images(seen: Evidence) -> None:
    few = replace(seen, parts={**seen.parts, "forget_test": seen.parts["forget_test"][:15]})
    lone = replace(seen, parts={**seen.parts, "forget": seen.parts["forget"][:15]})

    assert set(GradCam().ask(few)[0].details["after"]) == {"forget", "retain"}
    (alone,) = GradCam().ask(lone)
    assert alone.details == {}
    assert "16 forgotten images or more" in alone.reason


def test_a_heat_map_is_no_larger_than_a_thumbnail_and_leaves_the_net_alone(world: World) -> None:
    samples = world.samples(world.train[:3])
    before = {name: each.clone() for name, each in world.original.state_dict().items()}

    maps = heat(world.original, samples)

    assert maps.shape == (3, 4, 4)
    assert all(
        torch.equal(before[name], each) for name, each in world.original.state_dict().items()
    )
    assert all(weight.requires_grad for weight in world.original.parameters())


# ---- beside retrained models -----------------------------------------------------------------------


def test_retrained_models_stand_beside_before_and_after(world: World, seen: Evidence) -> None:
    found = everything(seen)

    table = found["histograms.margin"].details
    assert sum(table["retrained"]["forget"]) == toy.PER_CLASS
    for version, part in (("before", "retain"), ("before", "forget_test"), ("after", "forget")):
        whole = seen.before if version == "before" else seen.after
        ours = margin(whole.of(seen.parts[part]))
        theirs = margin(seen.retrains[0].scores.of(seen.parts[part]))
        at = np.concatenate([ours, theirs])[:, None]
        gaps = np.abs((ours <= at).mean(1) - (theirs <= at).mean(1))
        assert table["apart"][version][part] == pytest.approx(gaps.max())
    assert 0 < table["apart"]["before"]["retain"] < table["apart"]["before"]["forget_test"]
    (spread,) = found["destination"].details["predicted_retrained"]
    assert sum(spread) == toy.PER_CLASS
    assert spread[GONE] == 0
    gone = found["accuracy.test"].details["per_class"][GONE]
    assert gone["retrained"] == [0.0]
    assert (
        "retrained" not in everything(evidence(world, world.retrained))["histograms.margin"].details
    )


def test_nothing_that_is_drawn_names_an_image(seen: Evidence) -> None:
    rows = set(seen.parts["forget"].tolist())

    for audit in (Roc(), Embedding(), GradCam()):
        for found in audit.ask(seen):
            assert not rows <= set(integers(json.loads(json.dumps(found.details))))


def integers(value: object) -> list[int]:
    if isinstance(value, dict):
        return [n for each in value.values() for n in integers(each)]
    if isinstance(value, list):
        return [n for each in value for n in integers(each)]
    return [value] if isinstance(value, int) else []
