"""One forward for each row and state, the choice of rows, and the blob."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import toy
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from workers.kinds import Samples
from workers.scoring import (
    Split,
    dump_scores,
    load_scores,
    plan,
    proportionate,
    recalibrated,
    score,
)

PIXELS, LABELS = toy.pictures()


class Counting(nn.Module):
    """Counts the images that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = toy.net(0)
        self.seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return self.inner(images)


def samples(rows: list[int]) -> Samples:
    return Samples(PIXELS, LABELS, torch.tensor(rows))


def test_each_row_passes_once_however_often_it_is_named() -> None:
    model = Counting()

    scores = score(model, samples([7, 3, 7, 200, 3]), batch_size=2)

    assert model.seen == 3
    assert scores.rows.tolist() == [3, 7, 200]
    assert scores.labels.tolist() == LABELS[[3, 7, 200]].tolist()


def test_scores_are_what_the_model_says_in_evaluation_mode() -> None:
    model = toy.net(0).train()
    images, _ = samples([1, 2, 9]).at(torch.arange(3))

    scores = score(model, samples([9, 1, 2]), precision="fp32", batch_size=2)

    assert model.training
    head = model[-1]
    expected = model.eval()(images)
    torch.testing.assert_close(scores.logits, expected.detach())
    torch.testing.assert_close(head(scores.features.float()), expected, rtol=1e-2, atol=1e-2)
    assert scores.features.dtype is torch.float16


def test_half_precision_does_not_round_the_logits() -> None:
    model = toy.masked(toy.net(0).eval())

    scores = score(model, samples(list(range(64))), precision="bf16")

    steps = scores.logits[:, toy.GONE].unique()
    assert len(steps) > 32


def test_what_is_known_is_read_and_only_the_rest_computed() -> None:
    model = Counting()
    known = score(model, samples([1, 5, 9]))
    model.seen = 0

    scores = score(model, samples([5, 2, 9]), known=known)

    assert model.seen == 1
    assert scores.rows.tolist() == [2, 5, 9]
    assert torch.equal(scores.logits[1:], known.logits[1:])
    assert score(model, samples([1, 9]), known=known).rows.tolist() == [1, 9]
    assert model.seen == 1


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows to score"):
        score(toy.net(0), Samples(PIXELS, LABELS, torch.zeros(0, dtype=torch.int64)))


def test_the_blob_gives_back_the_same_scores_and_the_same_bytes() -> None:
    scores = score(toy.net(0), samples([4, 8]))

    again = load_scores(dump_scores(scores))

    assert dump_scores(again) == dump_scores(scores)
    assert torch.equal(again.logits, scores.logits)
    assert torch.equal(again.features, scores.features)
    assert torch.equal(again.rows, scores.rows)


def test_recalibration_touches_a_copy_only() -> None:
    model = toy.net(0).eval()
    before = deepcopy(model.state_dict())

    twin = recalibrated(model, samples(list(range(50))))

    assert twin is not None
    assert all(torch.equal(before[key], now) for key, now in model.state_dict().items())
    assert not torch.equal(twin.state_dict()["1.running_mean"], before["1.running_mean"])
    assert torch.equal(twin.state_dict()["0.weight"], before["0.weight"])


def test_without_batchnorm_or_images_there_is_no_recalibrated_copy() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))

    assert recalibrated(plain, samples([1, 2])) is None
    assert recalibrated(toy.net(0), samples([1]).take(torch.zeros(1, dtype=torch.bool))) is None


# ---- which rows --------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.integers(1, 100))
def test_classes_are_sampled_in_proportion(classes: list[int], size: int) -> None:
    labels = torch.tensor(classes)
    rows = torch.arange(len(labels))

    chosen = proportionate(rows, labels, size, seed=3)

    assert len(chosen) == min(size, len(rows))
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    for label in range(4):
        fair = (labels == label).sum() * len(chosen) / len(rows)
        assert abs(int((labels[chosen] == label).sum()) - fair) <= 2


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    rows = torch.arange(160)

    small, large = (proportionate(rows, LABELS, size, seed=3) for size in (20, 60))

    assert set(small.tolist()) <= set(large.tolist())


def test_when_rows_leave_most_of_the_sample_stays() -> None:
    rows = torch.arange(160)
    sample = set(proportionate(rows, LABELS, 60, seed=3).tolist())
    kept = rows[~torch.isin(rows, torch.tensor([0, 1, 2, 3, 4, 5]))]

    after = set(proportionate(kept, LABELS, 60, seed=3).tolist())

    assert len(after & sample) >= 50


def split(holdout: list[int]) -> Split:
    labels = LABELS[:160]
    rows = torch.arange(160)
    return Split(
        forget=rows[labels == toy.GONE].flip(0),
        retain=rows[(labels != toy.GONE) & ~torch.isin(rows, torch.tensor(holdout))],
        test=torch.arange(160, 200),
        holdout=torch.tensor(holdout, dtype=torch.int64),
    )


def test_the_plan_scores_every_part_once() -> None:
    chosen = plan(split([]), LABELS, [toy.GONE])

    assert chosen.rows.tolist() == list(range(200))
    assert torch.equal(chosen.again, split([]).forget)
    assert torch.equal(chosen.parts["forget"], split([]).forget)
    assert set(LABELS[chosen.parts["forget_test"]].tolist()) == {toy.GONE}
    assert toy.GONE not in LABELS[chosen.parts["retain_test"]].tolist()
    assert torch.equal(chosen.parts["nonmembers"], torch.arange(160, 200))


def test_a_hold_out_stands_for_the_never_trained() -> None:
    held = [0, 4, 8, 12]

    chosen = plan(split(held), LABELS, [toy.GONE])

    assert chosen.parts["nonmembers"].tolist() == held
    assert torch.isin(torch.tensor(held), chosen.rows).all()
    assert 160 in torch.cat([chosen.parts["forget_test"], chosen.parts["retain_test"]])


def test_the_quick_plan_takes_a_sample_of_the_retain_set_and_the_full_one_all() -> None:
    labels = torch.arange(10).repeat(1200)
    nobody = torch.zeros(0, dtype=torch.int64)
    many = Split(forget=nobody, retain=torch.arange(12000), test=nobody, holdout=nobody)

    quick, full = plan(many, labels, []), plan(many, labels, [], full=True)
    large = replace(many, forget=torch.arange(3000), retain=torch.arange(3000, 12000))

    assert len(quick.rows) == 5000
    assert len(quick.parts["recalibration"]) == 2000
    assert len(full.rows) == 12000
    assert len(plan(large, labels, []).again) == 2000
    assert len(plan(large, labels, [], full=True).again) == 3000
    assert set(quick.parts["recalibration"].tolist()) <= set(quick.rows.tolist())
