"""The ratios that need no service: each function measures some that belong together, in one run."""

import time
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import torch

from benchmarks import pace, plain
from benchmarks.bed import FULL, HALF, RESNET, Bed, flops
from benchmarks.measure import Net
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
EPOCHS, BATCH, RATE = 10, 64, 1e-5
EVALUATED = 70_000
"""Images of the five accuracies: test whole and in two parts, training set in two parts."""
SCORED = 5000
PREDICTED = 10_000


def costs(bed: Bed) -> Ratios:
    """Boundary methods over retraining (50 epochs) in configuration S, and over each other."""
    given = bed.given(**FIFTY)
    shrink, expanding = _method("boundary_shrink", S), _method("boundary_expanding", S)
    shrinks, search = _prepared(shrink, bed, given)
    paces = side_by_side(
        {
            "retrain": _method("retrain").unlearn(bed.net(trained=False), given),
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
    ready = {name: _prepared(_method(name), bed, given) for name in names}
    runs = {name: run for name, (run, _) in ready.items()}
    runs["retrain"] = _method("retrain").unlearn(bed.net(trained=False), given)
    paces = side_by_side(runs)
    net = bed.net()
    settled = seconds(lambda: settle(net, "retain", given.retain, given.rng, "bf16"))
    whole = {name: paces[name].whole + ready[name][1] for name in names}
    for name in ("boundary_shrink", "boundary_expanding"):
        whole[name] += settled
    retrain = paces["retrain"].whole
    return {
        "G5_shipped_retrain_over_shrink": retrain / whole["boundary_shrink"],
        "G5_shipped_retrain_over_expanding": retrain / whole["boundary_expanding"],
        "G6_slowest_method_over_retrain": max(whole.values()) / retrain,
        "G22_shipped_epochs_over_ten": _method("boundary_shrink").epochs / EPOCHS,
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


def textbook(bed: Bed) -> Ratios:
    """The textbook's loops over ours, to the same number of epochs, each with its evaluation."""
    given = bed.given()
    pictures = partial(plain.loader, mean=HALF.mean, std=HALF.std)
    batches = pictures(given.forget, BATCH)
    shrink, expanding = _method("boundary_shrink", S), _method("boundary_expanding", S)
    shrinks, search = _prepared(shrink, bed, given)
    paces = side_by_side(
        {
            "plain_shrink": plain.shrink(_bare(bed), batches, EPOCHS, RATE),
            "shrink": shrinks,
            "plain_expanding": plain.expanding(_bare(bed), 10, batches, EPOCHS, RATE),
            "expanding": expanding.unlearn(bed.net(), given),
            "plain_evaluation": plain.evaluated(_bare(bed), pictures(given.retain, BATCH)),
        }
    )
    scored = bed.rows(bed.images.train, SCORED)
    audit = seconds(lambda: scoring.score(bed.net(), scored)) / SCORED * len(bed.images.ids)
    judged = paces["plain_evaluation"].step / BATCH * EVALUATED
    return {
        "G1_textbook_over_shrink": (paces["plain_shrink"].whole + judged)
        / (search + paces["shrink"].whole + audit),
        "G2_textbook_over_expanding": (paces["plain_expanding"].whole + judged)
        / (paces["expanding"].whole + audit),
        "G4_textbook_over_evaluation": judged / audit,
    }


def textbook_resnet(bed: Bed) -> Ratios:
    """l1-sparse on ResNet-18, batches of 256, with augmented images."""
    given = bed.given()
    batches = plain.loader(given.retain, 256, RESNET.mean, RESNET.std, augment=True)
    ours = _method("l1_sparse", {"batch_size": 256, "epochs": EPOCHS})
    paces = side_by_side(
        {
            "plain": plain.l1_sparse(_bare(bed, RESNET), batches, EPOCHS, 0.1, 1e-4),
            "ours": ours.unlearn(bed.net(RESNET, trained=False), given),
        },
        block=3,
    )
    return {"G3_textbook_over_l1_sparse": paces["plain"].step / paces["ours"].step}


def pipeline(bed: Bed) -> Ratios:
    """Microseconds an image until a batch is there: gathered from memory, or decoded one by one."""
    given = bed.given()
    batches = plain.loader(given.retain, 128, HALF.mean, HALF.std)
    count = 20
    theirs = seconds(lambda: list(islice(batches, count)))
    ours = seconds(lambda: list(islice(given.retain.batches(128), count)))
    step = side_by_side({"one": _method("finetune").unlearn(bed.net(), given)})["one"].step
    return {
        "G21_batch_over_textbook": ours / theirs,
        "G21_batch_over_step": ours / count / step,
    }


def growth(bed: Bed) -> Ratios:
    """Seconds of whole runs in configuration S, by the size of the forget set."""
    found: Ratios = {}
    for name in ("boundary_shrink", "boundary_expanding"):
        method = _method(name, S)
        taken = {size: _whole(method, bed, bed.given(forget=size)) for size in (500, 2000, 5000)}
        found[f"G17_{name}_5000_over_500"] = taken[5000] / taken[500]
    return found


def retained(bed: Bed) -> Ratios:
    """What a larger retain set costs: nothing in a Boundary job, all of it in l1-sparse."""
    sizes = {"many": 45_000, "few": 4500}
    boundary = {
        name: _method("boundary_shrink").unlearn(bed.net(), bed.given(retain=size))
        for name, size in sizes.items()
    }
    paces = side_by_side(boundary)
    sparse = side_by_side(
        {
            str(forget): _method("l1_sparse").unlearn(
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
    """How many predictions are the same in bfloat16 and in float32."""
    test = bed.rows(~bed.images.train, PREDICTED)
    said = [
        scoring.score(bed.net(), test, precision=kind).logits.argmax(1) for kind in ("bf16", "fp32")
    ]
    return {"G0_same_predictions": float((said[0] == said[1]).double().mean())}


# ---- what they share -----------------------------------------------------------------------------


def _method(name: str, params: dict[str, Any] | None = None) -> Method:
    return shelf.make(shelf.take(methods, Method, name), params or {})


def _prepared(method: Method, bed: Bed, given: Given) -> tuple[Steps, float]:
    """A run whose first step is a step, and the seconds of what comes before."""
    net = bed.net()
    began = time.perf_counter()
    found = method.prepare(net, given)
    before = time.perf_counter() - began
    return method.unlearn(net, replace(given, prepared=found)), before


def _whole(method: Method, bed: Bed, given: Given) -> float:
    net = bed.net()
    return seconds(lambda: list(method.unlearn(net, given)))


def _bare(bed: Bed, net: Net = HALF) -> torch.nn.Module:
    """The net without its own normalisation and memory order, as a textbook has it."""
    inside = bed.net(net, trained=net is HALF).net
    assert isinstance(inside, torch.nn.Module)
    return inside.to(memory_format=torch.contiguous_format)
