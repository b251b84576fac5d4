"""The head of any net: found, widened, narrowed."""

import pytest
import torch
import torchvision
from torch import nn

from workers import shelf
from workers.heads import Head, head, narrow, widen

LAYERS = [nn.Linear(6, 4), nn.Linear(6, 4, bias=False), nn.Conv2d(6, 4, 1)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=LAYERS, ids=["linear", "without bias", "convolution"])
def layer(request: pytest.FixtureRequest) -> Head:
    layer: Head = request.param
    return layer


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vit_b_32", "densenet121", "vgg11"])
def test_it_is_found_in_other_peoples_nets(name: str) -> None:
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None, num_classes=13)

    assert len(head(net, 13)[1].weight) == 13
    assert head(net)[1] is head(net, 13)[1]


def test_it_is_found_in_every_net_on_the_shelf() -> None:
    for name in ("all_cnn", "resnet18_cifar", "small_cnn"):
        net = shelf.build(name, {}, classes=7, shape=(32, 32, 1), mean=[0.5], std=[0.5], seed=0)
        assert len(head(net)[1].weight) == 7


def test_a_net_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="no linear layer with 5 outputs"):
        head(nn.Sequential(nn.Linear(3, 4)), 5)


def test_widening_keeps_the_old_logits_and_narrowing_gives_back_the_layer(layer: Head) -> None:
    inputs = torch.randn(2, 6, *([3, 3] if isinstance(layer, nn.Conv2d) else []))
    weight, before = layer.weight.detach().clone(), layer(inputs)

    widen(layer, rng())
    wide = layer(inputs)
    narrow(layer, 4)

    assert wide.shape[1] == 5
    torch.testing.assert_close(wide[:, :4], before)
    assert torch.equal(layer.weight, weight)
    assert torch.equal(layer(inputs), before)
    assert "4" in layer.extra_repr()


def test_the_new_row_is_xavier_normal_with_bias_zero() -> None:
    layer = nn.Linear(20_000, 4)

    widen(layer, rng())

    assert layer.weight[4].std().item() == pytest.approx((2 / 20_005) ** 0.5, rel=0.02)
    assert layer.bias[4] == 0


def test_the_new_row_is_drawn_from_the_generator_alone() -> None:
    one, other = nn.Linear(6, 4), nn.Linear(6, 4)

    widen(one, rng(3))
    widen(other, rng(3))

    assert torch.equal(one.weight[4], other.weight[4])
