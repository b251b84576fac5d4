"""Weights go in and out whole, or not at all."""

import io
import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from given import net
from safetensors.torch import load as parse
from safetensors.torch import save
from torch import Tensor, nn

from workers import weights
from workers.normalised import Normalised
from workers.weights import UnfitWeights


def parts() -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net(1).state_dict().items()}


def test_what_goes_out_comes_in_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights.dump(net(1)))
    model = net(2)

    weights.load(model, path)

    assert all(torch.equal(model.state_dict()[name], value) for name, value in parts().items())


def test_the_same_weights_give_the_same_bytes() -> None:
    turned = net(1).to(memory_format=torch.channels_last)

    assert weights.dump(net(1)) == weights.dump(net(1)) == weights.dump(turned)


def test_numbers_go_out_as_float32() -> None:
    kept = parse(weights.dump(net(1).double()))

    assert kept["0.weight"].dtype == torch.float32
    assert kept["1.num_batches_tracked"].dtype == torch.int64


def test_names_are_those_of_the_net_without_its_normalisation() -> None:
    model = Normalised(net(1), [0.5], [0.5], 1)

    assert parse(weights.dump(model)).keys() == net().state_dict().keys()
    weights.load(model, weights.dump(net(2)))
    assert torch.equal(model.net.state_dict()["5.bias"], net(2)[5].bias)


def test_layers_that_share_a_tensor_go_out_too() -> None:
    one = nn.Linear(3, 3)
    twins = nn.Sequential(one, one)

    assert parse(weights.dump(twins)).keys() == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_half_precision_is_taken_and_a_missing_counter_does_not_matter() -> None:
    given = {
        name: value.half() if value.is_floating_point() else value
        for name, value in parts().items()
    }
    del given["1.num_batches_tracked"]
    model = net(2)

    weights.load(model, save(given))

    assert model[5].weight.dtype == torch.float32
    assert torch.equal(model[5].weight, given["5.weight"].float())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"5.bias": None}, "5.bias is missing"),
        ({"6.bias": torch.zeros(4)}, "6.bias is unexpected"),
        ({"5.bias": torch.zeros(5)}, "5.bias is 5, not 4"),
        ({"5.bias": torch.zeros(4, dtype=torch.int64)}, "5.bias holds torch.int64"),
        ({"5.bias": torch.tensor([0.0, torch.nan, 0.0, 0.0])}, "5.bias has values that are not"),
        ({"1.running_var": torch.full((6,), torch.inf)}, "1.running_var has values"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    change: dict[str, Tensor | None], sentence: str
) -> None:
    given = {name: value for name, value in (parts() | change).items() if value is not None}
    model = net(2)
    before = deepcopy(model.state_dict())

    with pytest.raises(UnfitWeights, match=sentence):
        weights.load(model, save(given))

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_only_the_first_few_misfits_are_listed() -> None:
    with pytest.raises(UnfitWeights, match="and 2 more") as refusal:
        weights.load(net(), save({}))

    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_by_name(zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save(net().state_dict(), buffer, _use_new_zipfile_serialization=zipped)

    with pytest.raises(UnfitWeights, match="is a pickle"):
        weights.load(net(), buffer.getvalue())


def test_a_bare_pickle_is_refused_by_name() -> None:
    with pytest.raises(UnfitWeights, match="is a pickle"):
        weights.load(net(), pickle.dumps({"5.bias": [0.0]}))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08" + bytes(7) + b"nonsense", bytes(100)])
def test_other_bytes_are_no_safetensors(data: bytes) -> None:
    with pytest.raises(UnfitWeights, match="no readable safetensors"):
        weights.load(net(), data)


def test_a_cut_file_is_no_safetensors() -> None:
    with pytest.raises(UnfitWeights, match="no readable safetensors"):
        weights.load(net(), weights.dump(net())[:-10])
