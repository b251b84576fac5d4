"""What nets and methods cost: operations as counted by others, and images as they are seen to go by."""

from dataclasses import asdict, fields, replace
from typing import Any
from uuid import UUID

import pytest
import torch
from given import again, net, world
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from world import furnish

from models_store import costs, crew, forecast
from models_store.costs import Gauge, Sizes
from models_store.crew import Badge
from models_store.policy import Policy
from models_store.rungs import Subject
from models_store.store import Store
from models_store.tables import Worker
from workers import gauge, methods, shelf, warmup
from workers.bench import Bench
from workers.kinds import Given, Method

SHELF = shelf.on(methods, Method)


def subject(architecture: str, **parameters: float) -> Subject:
    return Subject(
        model_id=UUID(int=1),
        name="m",
        architecture=architecture,
        parameters=parameters,
        mean=[0.5] * 3,
        std=[0.5] * 3,
        dataset_id=UUID(int=2),
        dataset_name="d",
        fingerprint="f",
        class_names=[str(i) for i in range(10)],
        shape=[32, 32, 3],
        policy=Policy(),
    )


@pytest.mark.parametrize(
    ("model", "forward", "training_over_forward", "parameters", "activations"),
    [
        (subject("all_cnn", width=0.5), 86_852_544, 2.985, 406_810, 190_464 + 10),
        (subject("all_cnn"), 344_754_048, 2.992, 1_620_010, 380_928 + 10),
        (subject("resnet18_cifar"), 555_422_720, 2.997, 11_173_962, 614_400 + 10),
    ],
    ids=["half", "full", "resnet"],
)
def test_operations_are_those_that_were_counted_by_hand(
    model: Subject,
    forward: int,
    training_over_forward: float,
    parameters: int,
    activations: int,
) -> None:
    found = gauge.count(model)

    assert found["forward_macs"] == forward
    assert found["training_macs"] / forward == pytest.approx(training_over_forward, abs=0.0006)
    assert (found["parameters"], found["activations"]) == (parameters, activations)


def test_counting_leaves_chance_alone() -> None:
    before = torch.get_rng_state()

    gauge.count(subject("all_cnn", width=0.5))

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", SHELF)
@pytest.mark.parametrize("size", [{}, {"forget": 5}], ids=["class", "few"])
def test_a_method_costs_about_what_it_says(name: str, size: dict[str, Any]) -> None:
    """By all the convolutions and products that run, whatever the method calls the net through."""
    kind, given, model = SHELF[name], again(world(**size)), net()
    known = {each.name for each in fields(kind)}
    params: dict[str, float] = dict.fromkeys({"epochs", "steps"} & known, 3)
    params |= dict.fromkeys({"stop_loss"} & known, 1e9)  # a cost counts on a run to its end

    with Counted() as counted:
        for _ in shelf.make(kind, params).unlearn(model, given):
            pass

    assert said(kind, params, given) == pytest.approx(counted.macs, rel=0.2)


@pytest.mark.parametrize("name", ["neggrad_plus", "scrub"])
def test_asking_unseen_images_how_far_to_go_is_in_the_cost(name: str) -> None:
    given, many = again(world(forget=5)), 40 * 36

    counted = macs(name, replace(given, holdout=given.retain.take(torch.arange(36).repeat(40))))

    assert said(SHELF[name], {**SHORT}, given, many) == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize("name", ["neggrad_plus", "scrub"])
def test_where_a_whole_class_goes_no_unseen_image_is_asked(name: str) -> None:
    given = world()
    asked = replace(given, holdout=given.retain.take(torch.arange(36).repeat(40)))

    assert macs(name, again(asked)) == macs(name, again(given))


SHORT = {"epochs": 2, "steps": 2}


def macs(name: str, given: Given) -> float:
    """Multiply-accumulates that a method carries out."""
    with Counted() as counted:
        for _ in shelf.make(SHELF[name], SHORT).unlearn(net(), given):
            pass
    return counted.macs


def said(kind: type[Method], params: dict[str, float], given: Given, unseen: int = 0) -> float:
    """Multiply-accumulates."""
    sizes = Sizes(forget=len(given.forget), retain=len(given.retain), unseen=unseen, scored=True)
    known = costs.numbers(costs.defaults(shelf.schema(kind)) | params)
    known |= costs.numbers(asdict(given.recipe), "recipe_") if given.recipe else {}
    known["classes"] = given.classes
    return 1e9 * costs.work(asdict(kind.cost()), gauge.AUDIT, known, sizes, one_image()).unlearning


def one_image() -> Gauge:
    with Counted() as there:
        logits = net()(torch.rand(2, 1, 8, 8))
    with Counted() as back:
        logits.sum().backward()
    forward, backward = there.macs // 2, back.macs // 2
    return Gauge(forward_macs=forward, training_macs=forward + backward, parameters=0,
                 activations=0, forward_rate=1.0, training_rate=1.0)  # fmt: skip


class Counted(TorchDispatchMode):
    """Counts as `FlopCounterMode` does, which cannot follow `autograd.grad` of a leaf.

    What `vmap` makes of the gradient of a convolution is one in groups, and the registered formula
    takes a group for the whole: each output asked for costs a product for each number of a filter.
    """

    macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket is torch.ops.aten.convolution_backward:
            gradient, _, filters = args[:3]
            self.macs += sum(args[10][:2]) * gradient.numel() * filters[0].numel()
        elif func._overloadpacket in flop_registry:
            self.macs += (
                flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out) // 2
            )
        return out


# ---- on the bench --------------------------------------------------------------------------------


@pytest.fixture
def bench(store: Store) -> Bench:
    badge = Badge("here", ["fast"], "cpu", "host", 1, {})
    with store.begin() as db:
        crew.sign_in(db, badge)
    return Bench(store=store, name="here", device=torch.device("cpu"))


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_net_is_measured_once_and_the_row_says_how_fast_it_is(bench: Bench) -> None:
    small = subject("small_cnn", filters=2)

    gauge.gauge(bench, small)
    with bench.store.read() as db:
        found = db.get_one(Worker, "here").rates
    again = gauge.measure(bench, small)

    (measured,) = found["nets"].values()
    assert found["nets"].keys() == {forecast.net_of(small)}
    assert min(Gauge(**measured).training_rate, Gauge(**measured).forward_rate) > 0
    assert found["idle_bytes"] > 10**7
    assert not again


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_model_that_cannot_be_prepared_keeps_no_worker_from_its_work(bench: Bench) -> None:
    world = furnish(bench.store)  # its pixels are nowhere
    gauge.begin(bench)

    (found,) = warmup._subjects(bench.store)
    warmup._prepare(bench, found)

    assert found.model_id == world.model_id
    assert bench.rates["nets"] == {}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_decides_a_result_is_written_down_with_it(bench: Bench) -> None:
    usual = torch.are_deterministic_algorithms_enabled()
    told = []
    try:
        for strict in (False, True):
            torch.use_deterministic_algorithms(strict)
            told.append(bench.provenance(7))
    finally:
        torch.use_deterministic_algorithms(usual)

    assert [each["deterministic"] for each in told] == [False, True]
    assert {"seed", "torch", "device", "precision", "threads", "cudnn_benchmark"} <= set(told[0])
