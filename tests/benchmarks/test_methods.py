"""Rows of the comparison: who is forgotten, what is counted, what is refused, what goes on later."""

import time
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch
from given import net, world

from benchmarks import methods, resume, trial
from benchmarks.cases import Case, cases
from benchmarks.count import Counter, Work, of_one_image
from benchmarks.measure import Images
from benchmarks.methods import Bed
from benchmarks.slice import Slice, trained
from workers import sparsity
from workers.data.pixels import Resident
from workers.gradients import squares
from workers.kinds import Samples
from workers.methods.finetune import Finetune
from workers.methods.fisher import Fisher
from workers.pruning.omp import Omp

N, PER_CLASS = 9_000, 900


def bed(tmp_path: Path, until: float = inf) -> Bed:
    """Ten classes of 900 images; the first 100 training images of each are the slice."""
    rows = torch.arange(N)
    labels = rows % 10
    pixels = Resident(torch.zeros(N, 4, 4, 3, dtype=torch.uint8))
    train = rows < N * 2 // 3
    images = Images(Samples(pixels, labels, rows), [f"image-{row}" for row in range(N)], train)
    part = Slice(images, rows[rows < 1000], rows[train & (rows >= 1000)])
    return Bed(images, part, tmp_path, tmp_path, until)


@pytest.mark.parametrize("target", ["class:4", "samples:50"])
def test_what_is_measured_was_seen_or_not_as_it_should_be(tmp_path: Path, target: str) -> None:
    here = bed(tmp_path)
    forget, retain, holdout = here.rows(Case(name="-", target=target))
    sets = here.sets(Case(name="-", target=target))

    assert torch.equal(torch.cat([forget, retain]).sort().values, here.slice.rows)
    assert torch.equal(sets.forget.sort().values, forget)
    assert torch.isin(sets.retain, retain).all()
    assert not here.images.train[sets.retain_test].any()
    assert torch.isin(sets.nonmembers, here.slice.strangers).all()
    assert not torch.isin(sets.nonmembers, holdout).any()
    assert set(here.images.labels[sets.nonmembers].tolist()) == set(
        here.images.labels[forget].tolist()
    )
    assert here.images.labels[holdout].bincount().tolist() == [200] * 10


def test_rows_have_names_of_their_own_and_sanity_comes_first() -> None:
    every = cases(range(3))
    keys = [tuple(case.key.values()) for case in every]

    assert len(set(keys)) == len(keys)
    assert {case.name for case in every[:4]} == {"original", "untrained"}
    assert [case.long for case in every] == sorted(case.long for case in every)


def test_amnesiac_is_refused_with_the_share_that_it_would_take_back(tmp_path: Path) -> None:
    here = bed(tmp_path)
    case = Case(name="amnesiac", target="class:4", method="amnesiac")
    method = methods.made(case)

    with pytest.raises(ValueError, match=r"updates of the training \(100.0%\)"):
        methods.unlearned(here, case, method, net(channels=3, classes=10))


def test_an_image_counts_once_forward_and_once_backward() -> None:
    model, work = net(), Work()
    images = torch.rand(7, 1, 8, 8)
    one = of_one_image(model, images[:1])

    with Counter(work):
        model.train()(images).sum().backward()
        squares(model.eval(), images, torch.zeros(7, dtype=torch.int64), torch.ones(7))

    assert work.images(one) == {"forwards": 14, "backwards": 14}


def test_a_row_says_what_was_done(tmp_path: Path) -> None:
    given = world()
    run = resume.Run(tmp_path / "made.run")

    after, took = trial.unlearned(Finetune(epochs=2), net(), given, run)

    assert took["forwards"] == took["backwards"] == 2 * len(given.retain)
    assert took["params"]["epochs"] == 2
    assert took["rte_seconds"] > 0
    assert not torch.equal(next(after.parameters()), next(net().parameters()))


def test_a_sparse_net_is_made_once_and_stays_sparse(tmp_path: Path) -> None:
    given = world()
    pruner = Omp(epochs=1, batch_size=16, sparsity=0.5)

    sparse, seconds = trial.pruned(pruner, net(), given, resume.Run(tmp_path / "made.run"))
    again, same = trial.pruned(pruner, net(7), given, resume.Run(tmp_path / "made.run"))
    after, _ = trial.unlearned(
        Fisher(strength=1.0), sparse, given, resume.Run(tmp_path / "next.run"), sparse=True
    )

    zero = sparsity.zero_masks(sparse, "convolutions")["0"] == 0
    assert zero.sum() == zero.numel() / 2
    assert not after.get_parameter("0.weight")[zero].any()
    assert seconds == same
    assert all(
        torch.equal(a, b) for a, b in zip(sparse.parameters(), again.parameters(), strict=True)
    )


def test_a_run_that_is_out_of_time_goes_on_and_counts_everything(tmp_path: Path) -> None:
    given, path = world(), tmp_path / "made.run"
    whole = trial.unlearned(Finetune(epochs=3), net(), given, resume.Run(tmp_path / "whole.run"))

    for _ in range(2):
        late = resume.Run(path, until=time.monotonic())
        again = replace(given, rng=torch.Generator().manual_seed(0))
        with pytest.raises(resume.OutOfTimeError):
            trial.unlearned(Finetune(epochs=3), net(), again, late)
    done = resume.Run(path, until=time.monotonic())
    after, took = trial.unlearned(Finetune(epochs=3), net(), given, done)

    assert took["forwards"] == whole[1]["forwards"]
    assert not path.exists()
    assert all(
        torch.equal(a, b) for a, b in zip(after.parameters(), whole[0].parameters(), strict=True)
    )


def test_a_retrained_net_is_trained_once(tmp_path: Path) -> None:
    here = bed(tmp_path)
    small = methods.measure.Net("small_cnn", {"filters": 2}, [0.5] * 3, [0.5] * 3)
    recipe = {"epochs": 1, "batch_size": 64}

    def made(seed: int) -> torch.Tensor:
        run = resume.Run(tmp_path / "made.run")
        model = trained(small, here.images, here.slice.rows[:128], recipe, seed, run)
        return next(model.parameters()).detach()

    assert torch.equal(made(1), made(2))
    assert (tmp_path / "made.safetensors").exists()
