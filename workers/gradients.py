"""Gradients of single images and of sets, and products with curvature; the net in evaluation mode.

Numbers that belong to the parameters stand in a row, (P,), in the order of `trained`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.func import functional_call, vmap
from torch.func import grad as slope_of
from torch.nn.functional import cross_entropy

from workers.kinds import Samples
from workers.modes import dtype_of

Curvature = Literal["gauss_newton", "hessian"]

AT_ONCE = 256
"""Images in one pass."""
ROOM = 2**26
"""Numbers that the gradients of single images may fill at once."""


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that require a gradient."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def flat(parts: Sequence[Tensor]) -> Tensor:
    """All numbers in a row: (P,)."""
    return torch.cat([part.detach().flatten() for part in parts])


@torch.no_grad()
def move(model: nn.Module, way: Tensor) -> None:
    """Add (P,) numbers to the parameters."""
    weights = list(trained(model).values())
    parts = way.split([weight.numel() for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.add_(part.view(weight.shape))


# ---- gradients ---------------------------------------------------------------------------------


def gradient(model: nn.Module, samples: Samples) -> Tensor:
    """The sum over `samples`, taken in one pass, of the gradient of the cross-entropy: (P,)."""
    images, labels = samples.at(torch.arange(len(samples), device=samples.index.device))
    loss = cross_entropy(model(images.to(dtype_of(model))), labels, reduction="sum")
    return flat(grad(loss, [*trained(model).values()], materialize_grads=True))


def removal(forget: Samples, retain: Samples) -> list[tuple[Samples, float]]:
    """Some images at a time, and what the sum of their gradients is multiplied by to make v.

    v = (1/N) sum_{D_f} grad l - n_f/(N n_r) sum_{D_r} grad l with N = n_f + n_r is minus the
    change of the gradient of the mean loss when the forgotten images lose their weight 1/N and the
    retained ones come to 1/n_r, so that H^-1 v is how its minimum moves.

    Raises:
        ValueError: nothing is retained.
    """
    if not len(retain):
        raise ValueError("Without a retain set there is no loss whose minimum could be found.")
    both = len(forget) + len(retain)
    shares = ((forget, 1 / both), (retain, -len(forget) / (both * len(retain))))
    return [
        (samples.take(which), share)
        for samples, share in shares
        for which in torch.arange(len(samples), device=samples.index.device).split(AT_ONCE)
    ]


def squares(model: nn.Module, images: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
    """sum_i shares_i * (gradient of the cross-entropy of image i)^2: (P,).

    Args:
        images: (B, C, H, W). labels: (B,) int64. shares: (B,).
    """
    weights = {name: weight.detach() for name, weight in trained(model).items()}
    size = max(1, ROOM // sum(map(torch.numel, weights.values())))

    def loss(weights: Mapping[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, dict(weights), (image[None],))
        return cross_entropy(logits, label[None])

    each = vmap(slope_of(loss), in_dims=(None, 0, 0))
    parts = zip(images.split(size), labels.split(size), shares.split(size), strict=True)
    found = [
        flat([
            torch.tensordot(share, slope.square(), 1)
            for slope in each(weights, some, theirs).values()
        ])
        for some, theirs, share in parts
    ]  # fmt: skip
    return torch.stack(found).sum(0)


# ---- curvature ---------------------------------------------------------------------------------


def curved(model: nn.Module, samples: Samples, kind: Curvature, way: Tensor) -> Tensor:
    """The product of the curvature of the mean loss over `samples` with `way`: (P,).

    `hessian` is the matrix of second derivatives; `gauss_newton` its part J^T (diag p - p p^T) J,
    J the derivative of the logits, which has no negative eigenvalue.
    """
    weights = list(trained(model).values())
    parts = way.split([weight.numel() for weight in weights])
    push = [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]
    total = torch.zeros_like(way)
    for images, labels in samples.batches(AT_ONCE):
        logits = model(images.to(dtype_of(model)))
        total += flat(PRODUCTS[kind](logits, labels, weights, push))
    return total / len(samples)


def _gauss_newton(
    logits: Tensor, labels: Tensor, weights: Sequence[Tensor], push: Sequence[Tensor]
) -> Sequence[Tensor]:
    del labels
    # J^T u is linear in u, so that its derivative along `push` is J push.
    u = torch.zeros_like(logits, requires_grad=True)
    pulled = grad(logits, weights, u, create_graph=True, materialize_grads=True)
    (moved,) = grad(pulled, u, push)
    p = logits.detach().softmax(1)
    bent = p * (moved - (p * moved).sum(1, keepdim=True))
    return grad(logits, weights, bent, materialize_grads=True)


def _hessian(
    logits: Tensor, labels: Tensor, weights: Sequence[Tensor], push: Sequence[Tensor]
) -> Sequence[Tensor]:
    loss = cross_entropy(logits, labels, reduction="sum")
    slopes = grad(loss, weights, create_graph=True, materialize_grads=True)
    return grad(slopes, weights, push, materialize_grads=True)


Product = Callable[[Tensor, Tensor, Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]
PRODUCTS: Mapping[Curvature, Product] = {"gauss_newton": _gauss_newton, "hessian": _hessian}
