"""Convolutions carry the BatchNorm behind them, where that changes nothing but the time."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.prune import l1_unstructured

from workers.folding import folded, found
from workers.nets.all_cnn import all_cnn
from workers.nets.resnet18_cifar import resnet18_cifar
from workers.normalised import Normalised


def strange(net: nn.Module, seed: int = 0) -> nn.Module:
    """In evaluation mode and float64, with statistics that are not those of a fresh net."""
    chance = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                assert tensor is not None
                tensor.data.copy_(torch.rand(tensor.shape, generator=chance) + 0.5)
    return net.double().eval()


def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Twice(nn.Module):
    """Its convolution is read by two, and its second BatchNorm comes around again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.other, self.again = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, shown: Tensor) -> Tensor:
        first = self.conv(shown)
        second = self.again(self.other(self.norm(first) + first))
        last: Tensor = self.again(second).mean((2, 3))
        return last


class Worded(nn.Module):
    """It calls its parts by the names of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, shown: Tensor) -> Tensor:
        seen: Tensor = self.norm(input=self.conv(input=shown)).mean((2, 3))
        return seen


def sharing() -> nn.Module:
    """One ReLU in two places, which a trace knows by its first name."""
    relu = nn.ReLU()
    first, second = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), (nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    return nn.Sequential(*first, relu, *second, relu)


class Moody(nn.Module):
    """What it does hangs on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, shown: Tensor) -> Tensor:
        seen: Tensor = self.norm(self.conv(shown)).mean((2, 3))
        return seen if seen.sum() > 0 else -seen


@pytest.mark.parametrize(
    ("net", "pairs"),
    [
        (Normalised(all_cnn(10, 3, width=0.25), [0.4] * 3, [0.2] * 3, 3), 8),
        (resnet18_cifar(10, 3), 20),
        (Twice(), 0),
        (Moody(), 0),
        (Worded(), 0),
        (sharing(), 2),
    ],
    ids=["all_cnn", "resnet18", "twice", "moody", "worded", "sharing"],
)
def test_a_folded_net_says_the_same_and_is_left_as_it_was(net: nn.Module, pairs: int) -> None:
    net, shown = strange(net), images()
    before, state = net(shown), {name: each.clone() for name, each in net.state_dict().items()}

    with folded(net):
        within = net(shown)

    assert len(found(net)) == pairs
    assert torch.allclose(within, before, rtol=1e-10, atol=1e-10)
    assert torch.equal(net(shown), before)
    assert all(torch.equal(each, state[name]) for name, each in net.state_dict().items())


def test_slopes_by_the_images_are_the_same() -> None:
    net = strange(all_cnn(10, 3, width=0.25))
    plain, within = images().requires_grad_(), images().requires_grad_()

    net(plain).square().sum().backward()
    with folded(net):
        net(within).square().sum().backward()

    assert plain.grad is not None
    assert within.grad is not None
    assert torch.allclose(within.grad, plain.grad, rtol=1e-8, atol=1e-12)


def test_the_batchnorm_is_not_computed_any_more() -> None:
    net = strange(all_cnn(10, 3, width=0.25))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.forward = None  # type: ignore[method-assign, assignment]

    with folded(net):
        net(images())


def test_masked_weights_are_left_alone() -> None:
    net = strange(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    l1_unstructured(net[0], "weight", 0.5)  # type: ignore[arg-type]

    assert found(net) == []


def test_while_a_net_learns_nothing_is_folded() -> None:
    assert found(all_cnn(10, 3, width=0.25).train()) == []
