"""Shelves: what is found, what it says of itself, what it takes, and nets built to order."""

from pathlib import Path
from types import ModuleType

import pytest
import torch
import torchvision
from torch import nn

from workers import audits, methods, pruning, shelf
from workers.evidence import Audit
from workers.kinds import Method
from workers.methods.boundary_shrink import BoundaryShrink
from workers.shelf import UnfitParameters, UnknownName
from workers.sparsity import Pruner


def build(
    architecture: str, channels: int = 3, classes: int = 5, seed: int = 0, **parameters: float
) -> nn.Module:
    return shelf.build(
        architecture,
        parameters,
        classes=classes,
        shape=(32, 32, channels),
        mean=[0.5] * channels,
        std=[0.25] * channels,
        seed=seed,
    )


# ---- methods and audits ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "kind"), [(methods, Method), (audits, Audit), (pruning, Pruner)]
)
def test_every_file_is_found_under_its_name(package: ModuleType, kind: type) -> None:
    files = {path.stem for path in Path(package.__path__[0]).glob("[a-z]*.py")}

    assert set(shelf.on(package, kind)) == files


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match="'boundary_shrimp'; the nearest are boundary_shrink"):
        shelf.take(methods, Method, "boundary_shrimp")


def test_parameters_are_checked_against_their_bounds() -> None:
    with pytest.raises(UnfitParameters) as refusal:
        shelf.make(BoundaryShrink, {"epsilon": 2.0, "epochs": "many", "bogus": 1})

    assert {error["at"] for error in refusal.value.errors} == {"$.epsilon", "$.epochs", "$.bogus"}


def test_parameters_that_fit_make_a_method() -> None:
    assert shelf.make(BoundaryShrink, {"epsilon": 0.05}) == BoundaryShrink(epsilon=0.05)


def test_the_schema_has_bounds_defaults_and_docstrings() -> None:
    schema = shelf.schema(BoundaryShrink)

    epsilon = schema["properties"]["epsilon"]
    assert (epsilon["exclusiveMinimum"], epsilon["maximum"]) == (0, 1)
    assert epsilon["default"] == BoundaryShrink().epsilon
    assert "pixel" in epsilon["description"]
    assert schema["additionalProperties"] is False


# ---- nets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["all_cnn", "resnet18_cifar", "small_cnn", "resnet18"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_net_takes_images_of_one_channel_or_three(architecture: str, channels: int) -> None:
    net = build(architecture, channels).eval()

    assert net(torch.rand(2, channels, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize("architecture", ["all_cnn", "small_cnn", "resnet18"])
def test_the_seed_decides_the_weights_and_nothing_else_does(architecture: str) -> None:
    torch.manual_seed(1)
    one, before = build(architecture), torch.get_rng_state()
    torch.manual_seed(2)
    two, other = build(architecture), build(architecture, seed=1)

    pairs = list(zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not all(map(torch.equal, one.parameters(), other.parameters()))
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_are_normalised_in_front_and_no_weight_tells() -> None:
    net = build("small_cnn", 1).eval()
    images = torch.rand(2, 1, 32, 32)

    assert torch.equal(net(images), net.net((images - 0.5) / 0.25))
    assert not {"mean", "std"} & net.state_dict().keys()


def test_half_an_all_cnn_is_the_net_of_the_boundary_unlearning_code() -> None:
    net = build("all_cnn", classes=10, width=0.5).net
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}

    assert sum(weight.numel() for weight in net.parameters()) == 406_810
    assert shapes["features.0.0.weight"] == (48, 3, 3, 3)
    assert shapes["features.7.0.weight"] == (96, 96, 1, 1)
    assert shapes["features.7.1.running_mean"] == (96,)
    assert shapes["classifier.weight"] == (10, 96)


def test_the_wrong_parameters_of_a_net_are_named() -> None:
    with pytest.raises(UnfitParameters) as refusal:
        build("all_cnn", width=0.0, depth=3.0)

    assert {error["at"] for error in refusal.value.errors} == {"$.width", "$.depth"}


def test_an_unknown_net_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match="resnet18_cifar"):
        build("resnet18_cifra")


def test_every_architecture_says_what_it_is_and_what_it_takes() -> None:
    offered = {each.name: each for each in shelf.architectures()}

    assert {"all_cnn", "resnet18_cifar", "small_cnn"} < offered.keys()
    assert set(torchvision.models.list_models(module=torchvision.models)) < offered.keys()
    assert all(each.about and each.schema["type"] == "object" for each in offered.values())
    assert offered["all_cnn"].schema["properties"]["width"]["exclusiveMinimum"] == 0
