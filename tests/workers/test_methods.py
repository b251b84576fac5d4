"""The law for methods: every file on the shelf is tried."""

from copy import deepcopy
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import pytest
import torch
from given import CLASSES, PER_CLASS, again, carried_out, net, states, world
from torch import nn

from workers import methods, shelf
from workers.kinds import Method
from workers.modes import recalibrate

SHELF = shelf.on(methods, Method)


@pytest.fixture(params=SHELF.values(), ids=SHELF.keys())
def method(request: pytest.FixtureRequest) -> Method:
    known = {field.name for field in fields(request.param)}
    return shelf.make(request.param, dict.fromkeys(known & {"epochs", "steps"}, 2))


def test_a_seed_decides_everything(method: Method) -> None:
    given = world()

    torch.manual_seed(1)
    once = carried_out(method, net(), again(given))
    torch.manual_seed(2)
    twice = carried_out(method, net(), again(given))

    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


def test_the_global_generator_is_left_alone(method: Method) -> None:
    given, model = world(), net()
    before = torch.get_rng_state()

    carried_out(method, model, given)

    assert torch.equal(torch.get_rng_state(), before)


def test_resumed_at_any_state_it_ends_with_the_same_bytes(method: Method) -> None:
    given = world()
    whole = carried_out(method, net(), again(given))

    found = list(states(method, net(), again(given)))

    assert found
    for state in found:
        resumed = carried_out(method, net(), again(given, resume=state))
        assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_a_state_is_tensors_and_numbers(method: Method) -> None:
    for state in states(method, net(), world()):
        assert all(isinstance(value, torch.Tensor | int | float) for value in state.values())


def test_progress_climbs_to_the_end(method: Method) -> None:
    steps = list(method.unlearn(net(), world()))

    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    assert all(step.epoch <= step.epochs for step in steps)


def test_it_can_be_stopped_at_any_step(method: Method) -> None:
    model = net()
    steps = method.unlearn(model, world())

    next(iter(steps))
    steps.close()  # type: ignore[attr-defined] # every method is a generator

    assert all(weight.isfinite().all() for weight in model.parameters())


def test_the_net_comes_back_ready_for_use(method: Method) -> None:
    model = net()

    carried_out(method, model, world())

    assert not any(part.training for part in model.modules())
    assert all(weight.requires_grad for weight in model.parameters())


def test_the_anatomy_stays(method: Method) -> None:
    given, model = world(), net()

    carried_out(method, model, given)

    expected = {name: value.shape for name, value in net().state_dict().items()}
    assert {name: value.shape for name, value in model.state_dict().items()} == expected
    assert model(given.retain.at(torch.arange(5))[0]).shape == (5, CLASSES)


def test_it_changes_trained_weights_and_keeps_them_finite(method: Method) -> None:
    model = net()

    carried_out(method, model, world())

    pairs = list(zip(model.parameters(), net().parameters(), strict=True))
    assert all(new.isfinite().all() for new, _ in pairs)
    assert any(not torch.equal(new, old) for new, old in pairs)


@pytest.mark.parametrize(
    "size",
    [{"forget": 1}, {"forget": PER_CLASS}, {"classes": 2}, {"classes": 7}, {"channels": 3}],
    ids=str,
)
def test_it_takes_data_of_any_size(method: Method, size: dict[str, Any]) -> None:
    given = world(**size)
    model = given.fresh(0)

    carried_out(method, model, given)

    assert all(weight.isfinite().all() for weight in model.parameters())


def test_it_takes_a_net_that_ends_in_a_convolution(method: Method) -> None:
    given = again(world())

    def fresh(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers = (nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
            ends = (nn.Conv2d(6, CLASSES, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            return nn.Sequential(*layers, *ends)

    model = fresh(0)
    carried_out(method, model, replace(given, fresh=fresh))

    assert model(given.retain.at(torch.arange(3))[0]).shape == (3, CLASSES)


POLICIES = [
    (name, policy)
    for name, kind in SHELF.items()
    for policy in get_args(get_type_hints(kind).get("batchnorm"))
]


@pytest.mark.parametrize(("name", "policy"), POLICIES)
def test_a_batchnorm_policy_decides_what_becomes_of_the_statistics(name: str, policy: str) -> None:
    given, model = world(), net()
    before = deepcopy(dict(model.named_buffers()))
    known = {field.name for field in fields(SHELF[name])}  # type: ignore[arg-type]
    short: dict[str, Any] = dict.fromkeys(known & {"epochs", "steps"}, 2)

    carried_out(shelf.make(SHELF[name], short | {"batchnorm": policy}), model, again(given))

    after, fresh = dict(model.named_buffers()), deepcopy(model)
    recalibrate(fresh, given.retain)
    estimated = fresh[1].running_mean
    same = all(torch.equal(value, before[key]) for key, value in after.items())
    assert same == (policy == "frozen")
    close = torch.allclose(model[1].running_mean, estimated, rtol=1e-4, atol=1e-5)
    assert close == (policy in {"retain", "recalibrate"})


def test_bfloat16_compute_keeps_float32_weights(method: Method) -> None:
    model = net()

    carried_out(method, model, replace(world(), precision="bf16"))

    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_it_says_what_it_promises_and_where_it_comes_from(method: Method) -> None:
    summary, _, rest = shelf.about(type(method)).partition("\n\n")

    assert summary.endswith(".")
    assert "Source:" in rest


def test_every_parameter_is_described_in_its_schema(method: Method) -> None:
    described = shelf.schema(type(method))["properties"]

    assert all("default" in each for each in described.values())
    undocumented = {name for name, each in described.items() if "description" not in each}
    assert undocumented <= {"learning_rate", "momentum", "weight_decay", "batch_size"}
