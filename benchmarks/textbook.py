"""The ratios of the textbook's way (`plain`) over ours, to the same end."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from benchmarks import apart, plain
from benchmarks.bed import HALF, LABEL, RESNET, Bed
from benchmarks.measure import Net
from benchmarks.pace import seconds, side_by_side
from benchmarks.ratios import EPOCHS, Ratios, of_shelf, prepared, settled
from workers import scoring
from workers.kinds import Samples, Steps
from workers.verdicts import judge

BATCH, RATE = 64, 1e-5
ACCURACIES = 70_000
"""Images of the five accuracies: test whole and in two parts, training set in two parts."""
WITH_ATTACKS = 135_000
"""Images of four accuracies and two attacks, each of which reads its sets once more."""
ATTACKED = 10_000
"""Images of either side of an attack: as many as there are test images."""


def boundary(bed: Bed) -> Ratios:
    """The textbook's loops, as published, over our methods as shipped, each with its evaluation.

    Ours forget more and keep more (`boundary_*` beside `boundary_*_published` in docs/results.md).
    Theirs ends with accuracies alone; ours with the audit of tier 0, which has the attacks as well.
    """
    given = bed.given()
    shrinks, search = prepared(of_shelf("boundary_shrink"), bed, given)
    paces = side_by_side(
        {
            "plain_shrink": _theirs(_plain_shrink, bed),
            "shrink": shrinks,
            "plain_expanding": _theirs(_plain_expanding, bed),
            "expanding": of_shelf("boundary_expanding").unlearn(bed.net(), given),
            "plain_evaluation": _theirs(_plain_evaluation, bed),
        }
    )
    image, audit = paces["plain_evaluation"].step / BATCH, _audit(bed)
    theirs, after = image * ACCURACIES, settled(bed, given) + audit
    attacks = plain.ROUNDS * _attack(bed)
    return {
        "G1_textbook_over_shrink": (paces["plain_shrink"].whole + theirs)
        / (search + paces["shrink"].whole + after),
        "G2_textbook_over_expanding": (paces["plain_expanding"].whole + theirs)
        / (paces["expanding"].whole + after),
        "G4_textbook_over_evaluation": (image * WITH_ATTACKS + attacks) / audit,
    }


def resnet(bed: Bed) -> Ratios:
    """l1-sparse on ResNet-18, batches of 256, with augmented images."""
    given = bed.given()
    ours = of_shelf("l1_sparse", {"batch_size": 256, "epochs": EPOCHS})
    paces = side_by_side(
        {
            "plain": _theirs(_plain_l1_sparse, bed),
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
    step = side_by_side({"one": of_shelf("finetune").unlearn(bed.net(), given)})["one"].step
    return {
        "G21_batch_over_textbook": ours / theirs,
        "G21_batch_over_step": ours / count / step,
    }


# ---- the textbook's runs ------------------------------------------------------------------------


def _theirs(run: Callable[[Bed], Steps], bed: Bed) -> Steps:
    return apart.steps(_made, run, bed.data, bed.models)


def _made(run: Callable[[Bed], Steps], data: Path, models: Path) -> Steps:
    return run(Bed.made(data, models))


def _plain_shrink(bed: Bed) -> Steps:
    return plain.shrink(_bare(bed), _batches(bed.given().forget), EPOCHS, RATE)


def _plain_expanding(bed: Bed) -> Steps:
    return plain.expanding(_bare(bed), 10, _batches(bed.given().forget), EPOCHS, RATE)


def _plain_evaluation(bed: Bed) -> Steps:
    return plain.evaluated(_bare(bed), _batches(bed.given().retain))


def _plain_l1_sparse(bed: Bed) -> Steps:
    batches = plain.loader(bed.given().retain, 256, RESNET.mean, RESNET.std, augment=True)
    return plain.l1_sparse(_bare(bed, RESNET), batches, EPOCHS, 0.1, 1e-4)


def _batches(samples: Samples) -> plain.Loader:
    return plain.loader(samples, BATCH, HALF.mean, HALF.std)


# ---- what they share ----------------------------------------------------------------------------


def _audit(bed: Bed) -> float:
    """Seconds of tier 0 over all images, as a worker does it when the version before is known."""
    world, before, after = bed.world(), bed.net(), bed.net(trained=False)
    forget = world.forget(f"class:{LABEL}")
    plan = world.plan(forget, full=True)
    known = scoring.score(before, bed.images.samples.take(plan.rows))
    return seconds(lambda: judge(world.read(before, after, forget, plan=plan, known=known), tier=0))


def _attack(bed: Bed) -> float:
    """Seconds of a round of the textbook's attack, less its reading."""
    given, test = bed.given(), (~bed.images.train).nonzero().flatten()
    members, forget = given.retain.index[:ATTACKED], given.forget.index
    rows = torch.cat([members, test, forget])
    scores = scoring.score(bed.net(), bed.images.samples.take(rows))
    return seconds(lambda: plain.attack(scores, members, test, forget))


def _bare(bed: Bed, net: Net = HALF) -> nn.Module:
    """The net without its own normalisation and memory order, as a textbook has it."""
    inside = bed.net(net, trained=net is HALF).net
    assert isinstance(inside, torch.nn.Module)
    return inside.to(memory_format=torch.contiguous_format)
