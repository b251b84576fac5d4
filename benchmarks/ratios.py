"""The ratios that need no service: each function measures some that belong together, in one run."""

import time
from dataclasses import replace
from statistics import correlation
from typing import Any

import torch

from benchmarks import audit_cost, pace
from benchmarks.bed import FULL, HALF, RESNET, Bed, flops
from benchmarks.pace import seconds, side_by_side
from workers import methods, scoring, shelf, training
from workers.kinds import Given, Method, Recipe, Steps
from workers.modes import settle

Ratios = dict[str, float]

S: dict[str, Any] = {
    "retain_share": 0,
    "batchnorm": "frozen",
    "epochs": 10,
    "steps": 0,
    "batch_size": 64,
}
"""Configuration S: ten epochs over the forget set alone."""
FIFTY = {"epochs": 50, "batch_size": 64}
EPOCHS = 10
SCORED = 5000
PREDICTED = 10_000


def costs(bed: Bed) -> Ratios:
    """Boundary methods over retraining (50 epochs) in configuration S, and over each other."""
    given = bed.given(**FIFTY)
    shrink, expanding = of_shelf("boundary_shrink", S), of_shelf("boundary_expanding", S)
    shrinks, search = prepared(shrink, bed, given)
    paces = side_by_side(
        {
            "retrain": of_shelf("retrain").unlearn(bed.net(trained=False), given),
            "shrink": shrinks,
            "expanding": expanding.unlearn(bed.net(), given),
        }
    )
    retrain, shrunk = paces["retrain"].whole, search + paces["shrink"].whole
    return {
        "G5_retrain_over_shrink": retrain / shrunk,
        "G5_retrain_over_expanding": retrain / paces["expanding"].whole,
        "G7_shrink_over_expanding": shrunk / paces["expanding"].whole,
    }


def shipped(bed: Bed) -> Ratios:
    """The methods as they are shipped over retraining by the checkpoint's own recipe."""
    given = bed.given()
    names = ("boundary_shrink", "boundary_expanding", "l1_sparse", "finetune", "salun", "scrub")
    ready = {name: prepared(of_shelf(name), bed, given) for name in names}
    runs = {name: run for name, (run, _) in ready.items()}
    runs["retrain"] = of_shelf("retrain").unlearn(bed.net(trained=False), given)
    paces = side_by_side(runs)
    whole = {name: paces[name].whole + ready[name][1] for name in names}
    for name in ("boundary_shrink", "boundary_expanding"):
        whole[name] += settled(bed, given)
    retrain = paces["retrain"].whole
    return {
        "G5_shipped_retrain_over_shrink": retrain / whole["boundary_shrink"],
        "G5_shipped_retrain_over_expanding": retrain / whole["boundary_expanding"],
        **{f"G6_{name}_over_retrain": taken / retrain for name, taken in whole.items()},
        "G22_shipped_epochs_over_ten": of_shelf("boundary_shrink").epochs / EPOCHS,
    }


def audits(bed: Bed) -> Ratios:
    """Tier 0 of a class over the Shrink that it audits, as shipped, with nothing known before."""
    rows = {
        plan: audit_cost.measured(bed.world, lambda _: bed.net(), plan) for plan in audit_cost.BARS
    }
    return {
        "G12_forwards_of_an_image": max(row["most"] for row in rows.values()),
        **{f"G13_{plan}_audit_over_shrink": row["ratio"] for plan, row in rows.items()},
    }


def efficiency(bed: Bed) -> Ratios:
    """FLOP/s of training and of scoring over the machine's own best product of matrices."""
    best = pace.matmul_rate()
    given = bed.given()
    recipe = Recipe(batch_size=128)
    nets = {"half": HALF, "full": FULL, "resnet18": RESNET}
    runs = {
        name: training.fit(bed.net(net, trained=False), given.retain, recipe, rng=torch.Generator())
        for name, net in nets.items()
    }
    reached = {
        name: flops(bed.net(nets[name], trained=False))[1] * recipe.batch_size / at.step / best
        for name, at in side_by_side(runs).items()
    }
    scored = bed.rows(bed.images.train, SCORED)
    took = seconds(lambda: scoring.score(bed.net(), scored))
    return {
        "G8_training_full_over_matmul": reached["full"],
        "G8_training_resnet18_over_matmul": reached["resnet18"],
        "G9_training_half_over_matmul": reached["half"],
        "G11_scoring_over_matmul": flops(bed.net())[0] * SCORED / took / best,
    }


def compiled(bed: Bed) -> Ratios:
    """What torch.compile gains in a step of training, and how many such steps its work takes."""
    recipe, given = Recipe(batch_size=128), bed.given()
    nets = {"eager": bed.net(trained=False), "compiled": bed.net(trained=False)}
    nets["compiled"].compile()
    runs = {
        name: training.fit(net, given.retain, recipe, rng=torch.Generator())
        for name, net in nets.items()
    }
    first = seconds(lambda: next(runs["compiled"]))
    paces = side_by_side(runs)
    return {
        "G8_eager_over_compiled": paces["eager"].step / paces["compiled"].step,
        "G8_compiling_over_step": first / paces["eager"].step,
    }


def growth(bed: Bed) -> Ratios:
    """Seconds of whole runs in configuration S, by the size of the forget set."""
    found: Ratios = {}
    for name in ("boundary_shrink", "boundary_expanding"):
        method = of_shelf(name, S)
        taken = {size: _whole(method, bed, bed.given(forget=size)) for size in (500, 2000, 5000)}
        found[f"G17_{name}_5000_over_500"] = taken[5000] / taken[500]
        found[f"G17_{name}_linear"] = correlation(list(taken), list(taken.values())) ** 2
    return found


def retained(bed: Bed) -> Ratios:
    """What a larger retain set costs: nothing in a Boundary job, all of it in l1-sparse."""
    sizes = {"many": 45_000, "few": 4500}
    boundary = {
        name: of_shelf("boundary_shrink").unlearn(bed.net(), bed.given(retain=size))
        for name, size in sizes.items()
    }
    paces = side_by_side(boundary)
    sparse = side_by_side(
        {
            str(forget): of_shelf("l1_sparse").unlearn(
                bed.net(), bed.given(forget=forget, retain=50_000 - forget)
            )
            for forget in (5000, 50)
        }
    )
    return {
        "G18_shrink_retain_45000_over_4500": paces["many"].whole / paces["few"].whole,
        "G19_l1_sparse_forget_5000_over_50": sparse["5000"].whole / sparse["50"].whole,
    }


def precision(bed: Bed) -> Ratios:
    """How many predictions are the same in bfloat16 and in float32, and what is to be gained."""
    test = bed.rows(~bed.images.train, PREDICTED)
    said = [
        scoring.score(bed.net(), test, precision=kind).logits.argmax(1) for kind in ("bf16", "fp32")
    ]
    return {
        "G0_same_predictions": float((said[0] == said[1]).double().mean()),
        "G0_bf16_over_fp32_matmul": pace.matmul_rate() / pace.matmul_rate(torch.float32),
    }


# ---- what they share -----------------------------------------------------------------------------


def of_shelf(name: str, params: dict[str, Any] | None = None) -> Method:
    """A method of the shelf, with its defaults but for these."""
    return shelf.make(shelf.take(methods, Method, name), params or {})


def prepared(method: Method, bed: Bed, given: Given) -> tuple[Steps, float]:
    """A run whose first step is a step, and the seconds of what comes before."""
    net = bed.net()
    began = time.perf_counter()
    found = method.prepare(net, given)
    before = time.perf_counter() - began
    return method.unlearn(net, replace(given, prepared=found)), before


def settled(bed: Bed, given: Given) -> float:
    """Seconds in which the shipped Boundary methods end: BatchNorm is estimated anew."""
    net = bed.net()
    return seconds(lambda: settle(net, "retain", given.retain, given.rng, "bf16"))


def _whole(method: Method, bed: Bed, given: Given) -> float:
    net = bed.net()
    return seconds(lambda: list(method.unlearn(net, given)))
