"""The searches and variants of Boundary Shrink against their formulas, in float64."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from given import CLASSES, again, carried_out, net, states, world
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from workers.batches import Batch
from workers.kinds import Given
from workers.methods.boundary_shrink import BoundaryShrink, weighted
from workers.neighbours import Search, nearest
from workers.push import elsewhere

VARIANTS = [
    {"search": "pgd", "random_start": True},
    {"search": "second_logit"},
    {"variant": "curvature"},
    {"variant": "reweighted"},
    {"variant": "reweighted", "search": "pgd"},
]


def plain(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


def forgotten(given: Given) -> tuple[Tensor, Tensor]:
    images, labels = given.forget.at(torch.arange(len(given.forget)))
    return images.double(), labels


# ---- the search --------------------------------------------------------------------------------


def test_pgd_takes_small_steps_and_stays_within_reach() -> None:
    given, model = world(), plain(1)
    images, labels = forgotten(given)
    weight, bias = model[1].weight.detach(), model[1].bias.detach()
    moved = images.flatten(1)
    for _ in range(3):
        error = linear(moved, weight, bias).softmax(1) - nn.functional.one_hot(labels, CLASSES)
        ahead = moved + 0.04 * (error @ weight).sign()
        start = images.flatten(1)
        moved = torch.min(torch.max(ahead, start - 0.1), start + 0.1).clamp(0, 1)

    search = Search(by="pgd", epsilon=0.1, step=0.04, iterations=3)
    found = search.moved(model, images, labels, torch.Generator())

    torch.testing.assert_close(found.flatten(1), moved)


def test_one_wide_step_of_pgd_is_fgsm() -> None:
    given, model = world(), plain()
    images, labels = forgotten(given)
    wide = Search(by="pgd", epsilon=0.1, step=0.1, iterations=1)

    found = [s.moved(model, images, labels, torch.Generator()) for s in (wide, Search())]

    assert torch.equal(*found)


def test_shrink_searches_as_its_parameters_say() -> None:
    given, model = world(), plain()
    known = {"epsilon": 0.17, "random_start": True}
    search = Search(by="pgd", step=0.07, iterations=3, **known)  # type: ignore[arg-type]
    logits = torch.cat([*search.logits(model, given.forget, again(given).rng)])
    labels, margins = nearest(logits, elsewhere(given))
    raw = torch.sigmoid(5 * (margins + 0.5))

    method = BoundaryShrink(
        search="pgd", search_step=0.07, search_steps=3, variant="reweighted", **known
    )  # type: ignore[arg-type]
    found = method.prepare(model, again(given))

    assert torch.equal(torch.as_tensor(found["neighbours"]), labels)
    torch.testing.assert_close(torch.as_tensor(found["weights"]), raw / raw.mean())


def test_the_second_logit_is_that_of_the_image_itself() -> None:
    given, model = world(), plain()
    images, labels = forgotten(given)
    others = model(images).scatter(1, labels[:, None], -torch.inf).argmax(1)

    prepared = BoundaryShrink(search="second_logit").prepare(model, given)

    assert torch.equal(torch.as_tensor(prepared["neighbours"]), others)


def test_a_class_that_is_forgotten_as_well_is_no_neighbour() -> None:
    given = world()
    rows = torch.arange(len(given.forget.labels))
    both = torch.isin(given.forget.labels, torch.tensor([2, 3]))
    two = replace(
        given,
        forget=replace(given.forget, index=rows[both]),
        retain=replace(given.retain, index=rows[~both]),
    )

    allowed = elsewhere(two)

    assert allowed.tolist() == [[True, True, False, False]] * len(two.forget)
    assert elsewhere(replace(two, retain=two.retain.take(rows[:0]))).sum(1).tolist() == [3] * 24


# ---- the variants ------------------------------------------------------------------------------


def test_weights_grow_towards_the_boundary_between_two_neighbours_and_have_a_mean_of_one() -> None:
    given, model = world(), plain()
    method = BoundaryShrink(variant="reweighted", search="second_logit", sharpness=5, centre=-0.5)
    logits = model(forgotten(given)[0])[:, :3].detach()  # the class to forget is the last
    two = logits.softmax(1).sort(1, descending=True).values
    raw = torch.sigmoid(5 * (two[:, 1] - two[:, 0] + 0.5))

    weights = torch.as_tensor(method.prepare(model, given)["weights"])

    torch.testing.assert_close(weights, raw / raw.mean())


def test_with_two_classes_there_is_one_way_to_go_and_no_doubt() -> None:
    labels, margins = nearest(torch.zeros(3, 2), torch.tensor([[True, False]] * 3))

    assert labels.tolist() == [0, 0, 0]
    assert margins.tolist() == [-1, -1, -1]


def test_weights_go_with_their_images_and_leave_retained_ones_alone() -> None:
    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels, which = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([2, 0])
    weights = torch.tensor([0.5, 9.0, 2.0], dtype=torch.float64)
    losses = [float(cross_entropy(a[None], b[None])) for a, b in zip(logits, labels, strict=True)]

    found = weighted(
        lambda images: images, Batch(logits, labels, which, torch.arange(3), 0), weights
    )

    expected = (2.0 * losses[0] + 0.5 * losses[1] + sum(losses[2:])) / 5
    assert float(found) == pytest.approx(expected)


# ---- the law for each --------------------------------------------------------------------------


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_a_variant_resumes_with_the_same_bytes(params: dict[str, Any]) -> None:
    method = BoundaryShrink(epochs=2, steps=2, **params)
    whole = carried_out(method, net(), again(world()))

    found = list(states(method, net(), again(world())))

    assert found
    for state in found:
        resumed = carried_out(method, net(), again(world(), resume=state))
        assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_what_was_prepared_before_gives_the_same_bytes(params: dict[str, Any]) -> None:
    method, given = BoundaryShrink(epochs=2, steps=2, **params), again(world())
    prepared = replace(given, prepared=method.prepare(net(), given))

    once, twice = carried_out(method, net(), again(world())), carried_out(method, net(), prepared)

    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


@pytest.mark.parametrize("size", [{"forget": 1}, {"classes": 2}, {"classes": 7}, {"channels": 3}])
@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_a_variant_takes_data_of_any_size(params: dict[str, Any], size: dict[str, Any]) -> None:
    given = world(**size)
    model = given.fresh(0)

    carried_out(BoundaryShrink(steps=2, **params), model, given)

    assert all(weight.isfinite().all() for weight in model.parameters())
