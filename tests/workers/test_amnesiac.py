"""Amnesiac unlearning and the log that it needs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from given import again, carried_out, net, world
from safetensors.torch import load_file
from torch import Tensor

from models_store.blobs import Blobs
from models_store.errors import StorageFull
from workers import sparsity
from workers.baseline import refuse_too_large
from workers.batches import Feed
from workers.kinds import Given, Recipe
from workers.methods.amnesiac import Amnesiac
from workers.training import fit, loop
from workers.updates import Log, Recorder, size

RECIPE = Recipe(epochs=3, batch_size=2, learning_rate=0.02)


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    """The file of a training on everything, and the net that came of it."""
    given = world()
    rows = torch.cat([given.retain.index, given.forget.index])
    model = net()
    with (tmp_path / "data").open("w+b") as data:
        recorder = Recorder(data, model, rows)
        samples = replace(given.retain, index=rows)
        chance = torch.Generator().manual_seed(3)
        for _ in fit(model, samples, RECIPE, rng=chance, precision="fp32", after=recorder):
            pass
        (tmp_path / "log").write_bytes(b"".join(recorder.pieces()))
    return tmp_path / "log", model.state_dict()


def test_the_updates_add_up_to_the_training(log: tuple[Path, dict[str, Tensor]]) -> None:
    updates, start = Log(log[0]), net().state_dict()

    for name, end in log[1].items():
        if end.is_floating_point():
            changes = [updates[f"update.{t}.{name}"].double() for t in range(72)]
            total = start[name].double() + torch.stack(changes).sum(0)
            torch.testing.assert_close(total.float(), end)
    assert "update.72.0.weight" not in updates


def test_every_image_is_seen_once_an_epoch(log: tuple[Path, dict[str, Tensor]]) -> None:
    updates = Log(log[0])

    for epoch in range(3):
        seen = [updates[f"rows.{t}"] for t in range(24 * epoch, 24 * (epoch + 1))]
        assert torch.cat(seen).sort().values.tolist() == list(range(48))


def test_the_log_is_a_safetensors_file(log: tuple[Path, dict[str, Tensor]]) -> None:
    whole, updates = load_file(log[0]), Log(log[0])

    moved = [name for name, value in log[1].items() if value.is_floating_point()]
    assert set(updates) == {f"rows.{t}" for t in range(72)} | {
        f"update.{t}.{name}" for t in range(72) for name in moved
    }
    assert len(updates) == len(set(updates))
    for t in range(72):
        parts = [updates[f"update.{t}.{name}"].flatten() for name in moved]
        assert torch.equal(whole[f"update.{t}"], torch.cat(parts))


def test_the_size_of_a_log_is_known_before_the_training(
    log: tuple[Path, dict[str, Tensor]],
) -> None:
    count, foreseen = size(net(), RECIPE, 48)

    whole = load_file(log[0])
    assert count == 72
    assert foreseen == sum(value.nbytes for value in whole.values())


def test_a_log_that_the_disk_cannot_hold_is_refused_with_its_size(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match=r"390625 updates would take 1000000\.0 GB"):
        refuse_too_large(Blobs(tmp_path), 390625, 10**15)


def test_the_updates_that_saw_the_sample_are_taken_back(
    log: tuple[Path, dict[str, Tensor]],
) -> None:
    given, updates, model = logged(log[0]), Log(log[0]), net()
    model.load_state_dict(log[1])
    gone = int(given.forget.index)
    touched = [t for t in range(72) if gone in updates[f"rows.{t}"].tolist()]

    carried_out(Amnesiac(epochs=1, learning_rate=1e-12), model, given)

    assert len(touched) == 3
    for name, value in model.named_parameters():
        total = torch.stack([updates[f"update.{t}.{name}"].double() for t in touched]).sum(0)
        torch.testing.assert_close(value.detach(), (log[1][name].double() - total).float())


def test_batchnorm_statistics_are_taken_back_too_and_then_the_retain_set_repairs(
    log: tuple[Path, dict[str, Tensor]],
) -> None:
    given, updates, model, expected = logged(log[0]), Log(log[0]), net(), net()
    gone = int(given.forget.index)
    touched = [t for t in range(72) if gone in updates[f"rows.{t}"].tolist()]
    state = {name: value.clone() for name, value in log[1].items()}
    for name in (n for n, value in state.items() if value.is_floating_point()):
        total = torch.stack([updates[f"update.{t}.{name}"].double() for t in touched]).sum(0)
        state[name] = (state[name].double() - total).float()
    expected.load_state_dict(state)
    recipe = replace(RECIPE, epochs=1, batch_size=6, schedule="constant", weight_decay=0.01)
    feed = Feed(main=given.retain)
    for _ in loop(expected, feed, recipe, rng=again(given).rng, precision="fp32"):
        pass

    model.load_state_dict(log[1])
    method = Amnesiac(epochs=1, learning_rate=0.02, batch_size=6, weight_decay=0.01)
    carried_out(method, model, given)

    assert not torch.equal(state["1.running_var"], log[1]["1.running_var"])
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name])


def test_a_variance_that_would_be_negative_is_none() -> None:
    given, model = world(), net()
    assert given.updates is not None
    far = {**given.updates, "update.0.1.running_var": torch.full((6,), 100.0)}

    carried_out(Amnesiac(epochs=1), model, again(replace(given, updates=far)))

    assert (model[1].running_var >= 0).all()  # type: ignore[index, union-attr, operator]


def test_updates_are_taken_back_from_a_net_with_masks() -> None:
    method, mask = Amnesiac(epochs=1, learning_rate=1e-12), torch.ones(6, 1, 3, 3)
    mask[::2] = 0
    masked = sparsity.hold(net(), {"0": mask})

    carried_out(method, masked, again(world()))

    changes = world().updates
    assert changes is not None
    expected = (net().state_dict()["0.weight"] - changes["update.0.0.weight"]) * mask
    torch.testing.assert_close(sparsity.plain(masked)["0.weight"], expected)


def logged(path: Path) -> Given:
    return again(replace(world(forget=1), updates=Log(path)))


def test_too_many_touched_updates_are_refused_with_their_share(
    log: tuple[Path, dict[str, Tensor]],
) -> None:
    given = again(replace(world(), updates=Log(log[0])))

    with pytest.raises(
        ValueError, match=r"saw a forgotten image; .* would undo the training"
    ) as no:
        carried_out(Amnesiac(limit=0.1), net(), given)

    share = float(str(no.value).partition("(")[2].partition("%")[0]) / 100
    assert 12 / 48 <= share <= 24 / 48  # twelve of the 48 images, two in a batch


def test_without_a_log_it_says_how_to_get_one() -> None:
    with pytest.raises(ValueError, match="--log-updates"):
        carried_out(Amnesiac(), net(), replace(world(), updates=None))
