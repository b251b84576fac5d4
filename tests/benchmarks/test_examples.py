"""The applications run, and poison and measure what their pages say."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from docs.examples import amnesiac, backdoor, parts, transfer
from docs.examples.parts import Pictures
from workers.data.pixels import Resident
from workers.kinds import Recipe, Samples

N = 60


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Pictures:
    monkeypatch.setattr(parts, "RECIPE", Recipe(epochs=1, batch_size=20))
    quick = {"finetune": replace(parts.METHODS["finetune"], epochs=1)}
    quick |= {"retrain": parts.METHODS["retrain"]}
    quick |= {"l1_sparse": replace(parts.METHODS["l1_sparse"], epochs=1, steps=0)}
    for module in (parts, backdoor, transfer):
        monkeypatch.setattr(module, "METHODS", quick)
    monkeypatch.setattr(backdoor, "POISONED", 8)
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(1, 256, (N, 32, 32, 3), generator=chance).to(torch.uint8)
    rows = torch.arange(N)
    return Pictures(Samples(Resident(pixels), rows % 10, rows), rows[:40], rows[40:])


def test_only_training_images_are_poisoned_and_only_others_are_attacked(pictures: Pictures) -> None:
    poisoned, rows = backdoor.poison(pictures)
    attacked = backdoor.triggered(poisoned)

    before, after = (p.samples.pixels.gather(torch.arange(N)) for p in (pictures, poisoned))
    changed = (before != after).flatten(1).any(1).nonzero().flatten()
    patch = after[rows[0], 26:30, 26:30]

    assert changed.tolist() == rows.sort().values.tolist()
    assert set(rows.tolist()) <= set(pictures.train.tolist())
    assert not patch.any()
    assert (before[rows[0]] != after[rows[0]]).any(2).sum() == 16
    assert not (pictures.samples.labels[attacked.test] == backdoor.TARGET).any()
    assert set(attacked.at(attacked.test).targets.tolist()) == {backdoor.TARGET}


def test_the_backdoor_runs_to_its_end(pictures: Pictures) -> None:
    names = [row["name"] for row in backdoor.rows(pictures)]

    assert names == ["poisoned", "retrain", "finetune", "l1_sparse", "finetune_omp95"]


def test_vehicles_are_forgotten_and_faces_are_probed(pictures: Pictures) -> None:
    people = replace(pictures, samples=replace(pictures.samples, labels=torch.arange(N) % 4))

    found = transfer.rows(pictures, people)

    gone = pictures.samples.labels[transfer.vehicles(pictures)]
    assert set(gone.tolist()) == set(transfer.GONE)
    assert all(0 <= row["faces"] <= 100 for row in found)


@pytest.mark.parametrize("script", [backdoor, transfer])
def test_the_page_of_an_application_is_made_from_its_figures(script: ModuleType) -> None:
    place = parts.HERE / script.__name__.rpartition(".")[2]
    rows = json.loads(place.with_suffix(".json").read_text())["rows"]

    assert place.with_suffix(".md").read_text() == parts.page(script.TEXT, rows)


def test_ten_training_images_have_a_wrong_label_and_are_taken_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(amnesiac, "RECIPE", Recipe(epochs=1, batch_size=8, learning_rate=0.05))
    before = amnesiac.read()
    after, rows = amnesiac.mislabelled(before)

    found = amnesiac.measured(before, tmp_path / "log")

    changed = (before.samples.labels != after.samples.labels).nonzero().flatten()
    assert changed.tolist() == rows.sort().values.tolist()
    assert len(rows) == amnesiac.FORGOTTEN
    assert torch.isin(rows, before.train).all()
    assert [row["name"] for row in found["rows"]] == ["original", *amnesiac.METHODS]
    assert found["updates"] == -(-len(before.train) // 8)
    assert 0 < found["touched"] <= amnesiac.FORGOTTEN
    assert "would undo the training" in found["refusal"]


def test_the_page_of_the_taken_back_digits_is_made_from_its_figures() -> None:
    found = json.loads((parts.HERE / "amnesiac.json").read_text())

    assert (parts.HERE / "amnesiac.md").read_text() == amnesiac.written(found)
