"""Influence unlearning against dense matrices, in float64."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from given import CLASSES, again, carried_out, world
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn.functional import cross_entropy

from workers.gradients import curved, gradient, trained
from workers.kinds import Given, Samples
from workers.methods.influence import Influence
from workers.methods.influence_first_order import InfluenceFirstOrder


def tiny() -> nn.Module:
    """Two layers, fewer than a thousand parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = (nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, CLASSES))
        return nn.Sequential(*layers).double()


def loss_of(model: nn.Module, samples: Samples) -> Any:
    """The mean loss as a function of one row of parameters, and that row."""
    images, labels = samples.at(torch.arange(len(samples)))
    shapes = {name: weight.shape for name, weight in trained(model).items()}

    def spread(row: Tensor) -> dict[str, Tensor]:
        parts = row.split([shape.numel() for shape in shapes.values()])
        return {n: p.view(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}

    def logits(row: Tensor) -> Tensor:
        found: Tensor = functional_call(model, spread(row), (images.double(),))
        return found

    def loss(row: Tensor) -> Tensor:
        return cross_entropy(logits(row), labels)

    return loss, logits, row_of(model)


def row_of(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in trained(model).values()])


def dense(model: nn.Module, samples: Samples, kind: str) -> Tensor:
    loss, logits, row = loss_of(model, samples)
    if kind == "hessian":
        found: Tensor = jacrev(jacrev(loss))(row)
        return found
    slopes, p = jacrev(logits)(row), logits(row).softmax(1)
    bend = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return torch.einsum("nkp,nkl,nlq->pq", slopes, bend, slopes) / len(samples)


def direction(model: nn.Module, given: Given) -> Tensor:
    """v, from the gradients of both mean losses."""
    n_f, n_r = len(given.forget), len(given.retain)
    slopes = []
    for samples in (given.forget, given.retain):
        loss, _, row = loss_of(model, samples)
        slopes.append(jacrev(loss)(row))
    return (slopes[0] * n_f - slopes[1] * n_f) / (n_f + n_r)


def moved(method: Any, given: Given) -> Tensor:
    model = tiny()
    before = row_of(model)
    carried_out(method, model, given)
    return row_of(model) - before


def test_the_first_order_step_is_the_difference_of_the_gradients() -> None:
    given = world()

    step = moved(InfluenceFirstOrder(strength=3.0), given)

    torch.testing.assert_close(step, 3.0 * direction(tiny(), given))


@pytest.mark.parametrize("kind", ["gauss_newton", "hessian"])
def test_products_with_curvature_are_those_of_the_dense_matrix(kind: Any) -> None:
    model, given = tiny(), world()
    matrix = dense(model, given.retain, kind)
    way = torch.randn(len(matrix), dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(curved(model, given.retain, kind, way), matrix @ way)


@pytest.mark.parametrize(("kind", "damping"), [("gauss_newton", 0.01), ("hessian", 2.0)])
def test_the_step_is_that_of_the_dense_inverse(kind: Any, damping: float) -> None:
    given, model = world(), tiny()
    matrix = dense(model, given.retain, kind)
    matrix += damping * torch.eye(len(matrix), dtype=torch.float64)

    method = Influence(curvature=kind, damping=damping, steps=400, strength=1.5)
    step = moved(method, again(given))

    expected = 1.5 * torch.linalg.solve(matrix, direction(model, given))
    torch.testing.assert_close(step, expected, rtol=1e-6, atol=1e-9)


def test_the_curvature_is_taken_over_as_many_retain_images_as_asked() -> None:
    given, model = world(), tiny()
    drawn = torch.randperm(len(given.retain), generator=again(given).rng)[:10]
    matrix = dense(model, given.retain.take(drawn), "gauss_newton")
    matrix += 0.01 * torch.eye(len(matrix), dtype=torch.float64)

    step = moved(Influence(damping=0.01, steps=400, images=10), again(given))

    expected = torch.linalg.solve(matrix, direction(model, given))
    torch.testing.assert_close(step, expected, rtol=1e-6, atol=1e-9)


def test_a_gradient_is_that_of_finite_differences() -> None:
    model, samples = tiny(), world().retain
    loss, _, row = loss_of(model, samples)
    slope = gradient(model, samples) / len(samples)

    for at in (0, 100, len(row) - 1):
        nudge = torch.zeros_like(row)
        nudge[at] = 1e-6
        ratio = (loss(row + nudge) - loss(row - nudge)) / 2e-6
        assert float(slope[at]) == pytest.approx(float(ratio), abs=1e-8)


def test_removing_a_sample_lands_near_the_minimum_without_it() -> None:
    """For a convex loss at its minimum, the step goes where training without the sample goes."""
    given = world(forget=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()
    everything = replace(given.retain, index=torch.arange(len(given.forget) + len(given.retain)))
    minimise(model, everything)
    with_it = row_of(model)
    minimise(model, given.retain)
    without, start = row_of(model), nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()
    torch.nn.utils.vector_to_parameters(with_it.clone(), start.parameters())

    carried_out(Influence(damping=RIDGE, steps=300), start, again(given))

    assert float((row_of(start) - without).norm()) < 0.2 * float((with_it - without).norm())


RIDGE = 0.05


def minimise(model: nn.Module, samples: Samples) -> None:
    """Newton's method on the mean loss with a ridge, which makes the minimum unique."""
    for _ in range(30):
        loss, _, row = loss_of(model, samples)
        slope = jacrev(loss)(row) + RIDGE * row
        matrix = jacrev(jacrev(loss))(row) + RIDGE * torch.eye(len(row), dtype=torch.float64)
        row = row - torch.linalg.solve(matrix, slope)
        torch.nn.utils.vector_to_parameters(row, model.parameters())


def test_a_curvature_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="raise `damping`"):
        moved(Influence(curvature="hessian", damping=1e-9, steps=400), world())


@pytest.mark.parametrize("method", [Influence(), InfluenceFirstOrder()])
def test_without_a_retain_set_there_is_nothing_to_solve(method: Any) -> None:
    given = world()

    with pytest.raises(ValueError, match="retain set"):
        moved(method, replace(given, retain=given.retain.take(torch.arange(0))))
