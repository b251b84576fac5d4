"""One row of a comparison: a net, perhaps pruned, a method that runs on it, and what it took."""

import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

import torch
from torch import nn

from benchmarks import count, record, resume
from benchmarks.measure import Images
from workers import sparsity
from workers.kinds import Given, Method, Recipe, Steps
from workers.sparsity import Pruner
from workers.stages import inside, part

Row = dict[str, Any]
CONVOLUTIONS = 4
"""Dimensions of the weights whose zeros count, as in Unlearn-Sparse."""

FIGURES = (
    "d_r", "d_f", "d_rt", "d_ft", "bn_recalibrated_d_f", "mia_auc", "ua", "ra", "ta", "mia",
    "sparsity", "params", "seconds", "rte_seconds", "prune_seconds", "forwards", "backwards",
    "refused", "verdict", "failed",
)  # fmt: skip
"""In every row, null where there is nothing to say."""


def given(
    images: Images,
    sets: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    fresh: Callable[[int], nn.Module],
    recipe: Recipe,
    seed: int,
) -> Given:
    """What a method may look at: rows to forget, to retain, and held out."""
    forget, retain, holdout = (images.at(rows) for rows in sets)
    return Given(
        forget=forget,
        retain=retain,
        holdout=holdout,
        classes=int(images.labels.max()) + 1,
        fresh=fresh,
        recipe=recipe,
        rng=torch.Generator().manual_seed(seed),
    )


def pruned(
    pruner: Pruner, base: nn.Module, asked: Given, run: resume.Run
) -> tuple[nn.Module, float]:
    """The sparse net, with exact zeros and without masks, and the seconds that it took.

    It lies beside the run's file for whoever asks again. Raises `OutOfTimeError`.
    """
    place = run.path.with_suffix(".pruned")
    kept = resume.found(place)
    if kept is None:
        model = deepcopy(base)
        run.carry_out(pruner.prune(model, replace(asked, resume=run.state)))
        kept = inside("net", {**sparsity.plain(model)}) | {"seconds": run.seconds}
        resume.keep(place, kept)
    sparse = deepcopy(base)
    sparse.load_state_dict(part(kept, "net") or {})
    return sparse, float(kept["seconds"])


def unlearned(
    method: Method, base: nn.Module, asked: Given, run: resume.Run, *, sparse: bool = False
) -> tuple[nn.Module, Row]:
    """The net after a method, and what that took; `base` stays as it is.

    Args:
        sparse: the zeros of its convolutions are masks that hold, in fresh nets too.

    Raises:
        OutOfTimeError: go on later.
        ValueError: the method refuses.
    """
    model = deepcopy(base)
    if sparse:
        masks, fresh = sparsity.zero_masks(model, "convolutions"), asked.fresh
        sparsity.hold(model, masks)
        asked = replace(asked, fresh=lambda seed: sparsity.hold(fresh(seed), masks))
    carry_out(method.unlearn(model, replace(asked, resume=run.state)), run, base)
    after = deepcopy(base)
    after.load_state_dict(sparsity.plain(model))
    image = asked.retain.at(torch.zeros_like(asked.retain.index[:1]))[0]
    done = run.work.images(count.of_one_image(deepcopy(base), image))
    on_cpu = not next(base.parameters()).is_cuda
    return after, {
        "params": asdict(method),  # type: ignore[call-overload] # all are dataclasses
        "seconds": round(run.seconds, 3),
        "rte_seconds": round(run.seconds, 3),
        "forwards": done["forwards"] if on_cpu else None,
        "backwards": done["backwards"] if on_cpu else None,
    }


def carry_out(steps: Steps, run: resume.Run, base: nn.Module) -> None:
    """To the end, counting; not on a GPU, where counting takes longer than many a kernel."""
    if next(base.parameters()).is_cuda:
        run.carry_out(steps)
    else:
        with count.Counter(run.work):
            run.carry_out(steps)


def zeros(model: nn.Module) -> float:
    """Exact zeros among the weights of convolutions, in percent."""
    return round(100 * sparsity.zeros(model, CONVOLUTIONS), 1)


def out_of_design(row: Row) -> bool:
    """Was the method of a row made for other targets?"""
    if row["method"] is None:
        return False
    module = import_module(f"workers.methods.{row['method']}")
    (kind,) = (
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, Method)
        and each.__module__ == module.__name__
    )
    return row["target"].partition(":")[0] not in kind.designed_for


def in_turn(
    kept: record.Record,
    todo: Iterable[Callable[[], Row]],
    until: float,
    gaps: Callable[[list[Row]], list[Row]],
) -> None:
    """Row after row, each written at once, until the monotonic clock is past `until`."""
    for measured in todo:
        if time.monotonic() > until:
            return
        try:
            kept.add(measured())
        except resume.OutOfTimeError:
            return
        kept.amend(gaps)
        print(kept.rows[-1], flush=True)
