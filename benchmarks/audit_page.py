"""The part of the page of results that is about the audit itself."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import picture, record
from workers.drawing import Axis, Frame, Panel
from workers.statistics import proportion

Row = Mapping[str, Any]

AREAS = {"rmia.auc": "RMIA", "matched.auc": "matched", "same_class.margin": "same class"}
"""Areas under the curve that are shown beside the verdict."""

FOUND = 0.8
"""The smallest residue of which the audit can be trusted to find it is found so often."""

TITLE = """## The audit before models of which the truth is known
"""

HEAD = """### On real images

{settings}

All-CNN on a slice of CIFAR-10: 10,000 training images, and 40,000 never-trained ones as a hold-out;
{halves} models of random halves as a pool, {retrains} retrained without the class beside the one
under audit. The first two models and the four after them have a known truth: only `retrained` may
pass. What the audit says of the methods, at the settings they ship with, is a finding. Areas under
the curve with their 95 % interval: 0.5 is what a model scores that never saw the images.
"""

TARGETS = {
    ("slice", "class:4"): "#### Forgetting the class deer, 1,000 images\n",
    ("slice", "samples:500"): """#### Forgetting 500 images of the slice

A mask or a deleted row hides a class; for single samples there is no such thing.
""",
    ("cifar10", "class:4"): """#### Full-size checkpoints, tier 0

Trained on all 50,000 images, so there is neither a hold-out nor a pool; the test split stands in.
""",
}

RESIDUE = """### How much must be left

{settings}

Nets retrained with a part of the forget set left in, on the small made world of `make audit-bench`:
{forgotten} forgotten samples, or a class of about as many. No threshold was chosen on these nets.
*Found*: the audit fails them; the interval is of 95 % (Clopper and Pearson). A gate clears what
leaves less than a quarter of what the attack saw in the original, so a small part left in passes.

![Share of runs in which the audit found it, by how much was left](pictures/residue.svg)

| left in | forgotten | found | inconclusive | passed | RMIA |
|---|---|---|---|---|---|
"""

COST = """### What tier 0 costs

{settings}

Full-size All-CNN, class deer, the audit of what the shipped `{method}` made. Nothing of either
version is known yet, so both are read in whole; a service knows most of the version before. Forwards
are counted image by image, *most* is how often one image went through one state of a model. The
copy with fresh BatchNorm statistics is a state of its own, and so is the pass that estimates them.

| choice | images | forwards | most | unlearning, s | audit, s | ratio | bar | holds |
|---|---|---|---|---|---|---|---|---|
"""


def written(file: Path) -> str:
    """The part as Markdown; nothing where nothing was measured."""
    document = json.loads(file.read_text()) if file.exists() else {}
    parts = [*_models(document), *_residue(document), *_cost(document)]
    return "\n".join([TITLE, *parts]) if parts else ""


# ---- models --------------------------------------------------------------------------------------


def _models(document: Row) -> Iterable[str]:
    rows = document.get("rows", [])
    if not rows:
        return
    settings = document["settings"]
    about = {"halves": settings["halves"], "retrains": len(settings["retrains"])}
    yield HEAD.format(settings=record.said(document), **about)
    for place, text in TARGETS.items():
        here = [row for row in rows if (row["data"], row["target"]) == place]
        if here:
            yield text
            yield _table(here)


def _table(rows: list[Row]) -> str:
    shown = [test for test in AREAS if any(test in row["tests"] for row in rows)]
    titles = ["", "verdict", *(AREAS[test] for test in shown), "why"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        areas = [_area(row["tests"].get(test)) for test in shown]
        cells = [f"`{row['model']}`", row["verdict"], *areas, row["reason"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _area(found: Row | None) -> str:
    if found is None or found["value"] is None:
        return "–"
    interval = found.get("interval")
    return f"{found['value']:.3f}" + (f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else "")


# ---- residue and cost ----------------------------------------------------------------------------


def _residue(document: Row) -> Iterable[str]:
    rows = document.get("residue", [])
    if not rows:
        return
    samples = next((row["forgotten"] for row in rows if row["kind"] == "samples"), "–")
    lines = []
    for kind, share, same in _by_share(rows):
        verdicts, n = Counter(row["verdict"] for row in same), len(same)
        _, low, high = proportion(verdicts["fail"], n)
        area = fmean(row["rmia_auc"] for row in same)
        lines.append(
            f"| {share:.0%} | {kind} | {verdicts['fail']} of {n} ({low:.0%}–{high:.0%}) | "
            f"{verdicts['inconclusive']} | {verdicts['pass']} | {area:.3f} |"
        )
    head = RESIDUE.format(settings=record.said(document, "residue"), forgotten=samples)
    yield head + "\n".join(lines) + "\n"


def _by_share(rows: Sequence[Row]) -> list[tuple[str, float, list[Row]]]:
    by = itemgetter("kind", "share")
    return [(*key, list(same)) for key, same in groupby(sorted(rows, key=by), key=by)]


def power(rows: Sequence[Row]) -> str:
    """How often a residue is found, as a picture: a panel for each kind, with 95 % intervals."""
    panels: dict[str, Frame] = {}
    for kind, share, same in _by_share(rows):
        x = Axis(0.0, 0.55, "left in", share=True)
        found = Axis(0.0, 1.0, "found", share=True)
        frame = panels.setdefault(
            kind, Frame(Panel(f"{kind}: share of runs that find it"), x, found)
        )
        fails = sum(row["verdict"] == "fail" for row in same)
        passes = sum(row["verdict"] == "pass" for row in same)
        value, low, high = proportion(fails, len(same))
        frame.line("bar_line", [(share, low), (share, high)])
        frame.dots("dot_estimate", [(share, value)], size=4)
        frame.dots("dot_before", [(share, passes / len(same))], size=4)
    for frame in panels.values():
        frame.line("chance", [(0.0, FOUND), (0.55, FOUND)])
        frame.axes()
    legend = {"dot_estimate": "fails", "dot_before": "passes", "chance": f"{FOUND:.0%} of runs"}
    return picture.svg([frame.panel for frame in panels.values()], 2, legend)


def _cost(document: Row) -> Iterable[str]:
    rows = document.get("cost", [])
    if not rows:
        return
    lines = []
    for row in rows:
        forwards = ", ".join(f"{n} {state}" for state, n in row["forwards"].items())
        good = "yes" if row["ratio"] <= row["bar"] and row["most"] == 1 else "no"
        lines.append(
            f"| {row['plan']} | {row['images']} | {forwards} | {row['most']} | "
            f"{row['unlearn_seconds']:.1f} | {row['audit_seconds']:.1f} | {row['ratio']:.2f} | "
            f"{row['bar']} | {good} |"
        )
    method = rows[0]["method"]
    yield (
        COST.format(settings=record.said(document, "cost"), method=method) + "\n".join(lines) + "\n"
    )
