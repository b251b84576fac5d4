"""The page that compares the methods, made from the result files: no figure in it is typed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import beside, held, pareto, picture, record, trial, tried
from benchmarks.cases import cases, curve

Row = dict[str, Any]
PAGE = record.ROOT / "docs" / "comparison.md"
PICTURES = record.ROOT / "docs" / "pictures"
OF_RESNET = record.RESULTS / "resnet18_cifar10.json"
SLICE, FULL = "slice", "cifar10"

HEAD = """# How the methods compare

Made by `make bench-methods` from `benchmarks/results/{file}`; keys and options are in
`benchmarks/README.md`. The methods run by themselves here, without the service and its audit; what
they do through the service is in [Results](results.md).

{settings}

The *slice* is 10,000 training images of CIFAR-10. Its models (All-CNN at half width, 25 epochs) were
trained on nothing else, so that 40,000 images of the same kind were never seen by them. Six models
were retrained without the class, by the same recipe; those without the 500 samples are trained by the
benchmark. *UA* is 100 less accuracy on the forgotten images, *RA* accuracy on retained ones, *TA* on
test images of the classes that stay, *MIA* the share of forgotten images that an attack by confidence
calls never trained on (all as Jia et al., NeurIPS 2023, define them). None of these wants to be high or
low: the goal is the retrained row. In brackets is the difference to the mean of the retrained models, which
are dense, for sparse nets too; *gap* is the mean of the four distances, where what is better than retrained
(RA, TA with a plus) counts as well. A retrained model is held against the others, so that its gap is
what chance makes. † marks a method on a target that it was not designed for. *Fresh BatchNorm* is accuracy on forgotten images once the statistics are re-estimated:
far above 100 - UA, nothing was forgotten. *AUC*: forgotten images against never-seen ones of their class;
0.5 is no trace. {parameters} {timing}
"""

PARAMETERS = """Methods run with the parameters of the house (each row of the file names them all): on the
slice those of its recipe, `workers/recipes/cifar10_slice_all_cnn.toml`, which rehearsed *other* images on
training images and a hold-out alone (class 7; 500 other samples), with at most six tries for each method;
otherwise those that they ship with. `fisher` draws one label for each image."""

TIMING = {
    True: "Seconds are those of one thread on one core, with other work on the machine: good for "
    "orders of magnitude. *Forward* and *backward* are images, counted by the convolutions that "
    "were carried out.",
    False: "Seconds are synchronised wall-clock time on the GPU.",
}

TITLES = {
    (SLICE, "class:4"): "Forgetting a class",
    (SLICE, "samples:500"): "Forgetting 500 single images",
    (FULL, "class:4"): "Forgetting a class, all 50,000 images",
}
ORDER = {name: n for n, name in enumerate(dict.fromkeys(case.name for case in cases(range(1))))}
COLUMNS = (
    "", "seed", "UA", "RA", "TA", "MIA", "gap", "fresh BatchNorm", "AUC", "sparse", "seconds",
    "forward", "backward",
)  # fmt: skip

SPARSITY = """## Sparse nets

UA, and TA behind it, of a class forgotten on nets of more and more zeros. Masks and the sparse net come
from all training images, so that the method has all the forgetting to do. Making the net sparse is not in the
seconds above: {taken}.

{curve}

Published for ResNet-18 and all of CIFAR-10 (Jia et al.): finetune 22.5 dense, 73.6 at 95 %, a gain of
51 points of UA.
"""
PENALTY = """## l1-sparse by its penalty

The class of the slice once more; in bold what the recipe takes.

"""
CURVE = {
    "dense": "", "75 %": "_omp75", "90 %": "_omp90", "95 %": "_omp95",
    "95 %, SynFlow": "_synflow95", "95 %, IMP": "_imp95",
}  # fmt: skip
"""Ends of rows' names."""


def written(file: Path) -> str:
    """The page as Markdown."""
    document = json.loads(file.read_text())
    rows, device = document["rows"], document["settings"]["device"]
    parts = [
        HEAD.format(
            settings=said(document),
            parameters=PARAMETERS,
            timing=TIMING[device == "cpu"],
            file=file.name,
        )
    ]
    for (data, target), title in TITLES.items():
        here = [row for row in plain(rows) if (row["data"], row["target"]) == (data, target)]
        here.sort(key=lambda row: (ORDER[row["name"]], row["seed"]))
        if here:
            parts += [f"## {title}", table(here)]
        if comparable(here) and data == SLICE:
            name = picture_name(target, device)
            parts.append(f"![Forgetting, utility and time](pictures/{name})")
    on_gpu = json.loads(OF_RESNET.read_text()) if OF_RESNET.exists() else None
    search = tried.written(tried.FOUND, tried.RECIPE) if device == "cpu" else []
    parts += [*sparse(rows), *held.bars(rows), *penalties(rows), *search, beside.written(on_gpu)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def pictures(file: Path) -> dict[str, str]:
    """SVG files by name."""
    document = json.loads(file.read_text())
    rows, device = plain(document["rows"]), document["settings"]["device"]
    found = {}
    for target in ("class:4", "samples:500"):
        here = comparable([r for r in rows if (r["data"], r["target"]) == (SLICE, target)])
        if here:
            found[picture_name(target, device)] = picture.svg(pareto.panels(here), 3, pareto.LEGEND)
    return found


def plain(rows: Sequence[Row]) -> list[Row]:
    """Rows with the parameters of the house: those of the curve have a table of their own."""
    curved = {case.name for case in curve(range(1))}
    return [row for row in rows if row["name"] not in curved]


def picture_name(target: str, device: str) -> str:
    """Of a target's picture."""
    return f"methods-{target.replace(':', '')}{ends(device)}.svg"


def ends(device: str) -> str:
    """What the names of files end in that were measured on another device than a CPU."""
    return "" if device == "cpu" else "-gpu"


def comparable(rows: Sequence[Row]) -> list[Row]:
    """Rows of methods with everything that the picture shows; one seed of each."""
    whole = [row for row in rows if row["method"] and row["avg_gap"] is not None]
    return [row for row in whole if row["rte_seconds"] is not None and row["seed"] == 0]


def said(document: Row) -> str:
    """What decided the figures."""
    machine, versions, rows = document["machine"], document["versions"], document["rows"]
    commits = ", ".join(dict.fromkeys(f"`{row['commit'][:12]}`" for row in rows))
    device = document["settings"]["device"]
    where = machine["processor"] if device == "cpu" else device
    return (
        f"Commit {commits}, {max(row['measured_at'] for row in rows)[:10]}, {where} "
        f"({machine['system']}), torch {versions['torch']}, Python {machine['python']}."
    )


def table(rows: Sequence[Row]) -> str:
    """A line for each row, refusals in their own words below."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += [line(row) for row in rows if not row["refused"]]
    refused = [f"\n`{row['name']}` refused: {row['refused']}" for row in rows if row["refused"]]
    return "\n".join([*lines, *refused])


def line(row: Row) -> str:
    """One row, gaps in brackets."""
    mark = " †" if trial.out_of_design(row) else ""
    cells = [f"`{row['name']}`{mark}", str(row["seed"])]
    cells += [_with_gap(row, key) for key in ("ua", "ra", "ta", "mia")]
    cells += [_said(row["avg_gap"], 1), _said(row["bn_recalibrated_d_f"], 1)]
    cells += [_said(row["mia_auc"], 3), _said(row["sparsity"], 0), _said(row["rte_seconds"], 1)]
    cells += [_said(row["forwards"], 0), _said(row["backwards"], 0)]
    return "| " + " | ".join(cells) + " |"


def _with_gap(row: Row, key: str) -> str:
    gap = row[f"gap_{key}"]
    return _said(row[key], 1) + (f" ({gap:+.1f})" if gap is not None else "")


def _said(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:,.{places}f}"


def sparse(rows: Sequence[Row]) -> list[str]:
    """Finetune and l1-sparse by sparsity; what was not run is a dash."""
    of = {row["name"]: row for row in rows if (row["data"], row["target"]) == (SLICE, "class:4")}
    pruned = {
        row["prune"]["method"] + f" to {row['prune']['sparsity']:.0%}": row
        for row in of.values()
        if row["prune"]
    }
    if not pruned:
        return []
    lines = ["| " + " | ".join(["", *CURVE]) + " |", "|---" * (len(CURVE) + 1) + "|"]
    for name in ("finetune", "l1_sparse"):
        cells = [_both(of.get(f"{name}{end}")) for end in CURVE.values()]
        lines.append("| " + " | ".join([f"`{name}`", *cells]) + " |")
    taken = ", ".join(f"{how} {row['prune_seconds']:,.0f} s" for how, row in pruned.items())
    return [SPARSITY.format(taken=taken, curve="\n".join(lines))]


def _both(row: Row | None) -> str:
    return f"{_said(row['ua'], 1)} ({_said(row['ta'], 1)})" if row else "–"


def penalties(rows: Sequence[Row]) -> list[str]:
    """l1-sparse by gamma, the recipe's among them."""
    names = {case.name for case in curve(range(1))} | {"l1_sparse"}
    here = [row for row in rows if (row["data"], row["target"]) == (SLICE, "class:4")]
    found = [row for row in here if row["name"] in names and row["params"]]
    if len({row["name"] for row in found}) < 2:
        return []
    lines = ["| gamma | UA | RA | TA | gap |", "|---|---|---|---|---|"]
    for row in sorted(found, key=lambda row: (row["params"]["gamma"], row["seed"])):
        gamma = f"{row['params']['gamma']:g}"
        cells = [f"**{gamma}**" if row["name"] == "l1_sparse" else gamma]
        cells += [_with_gap(row, key) for key in ("ua", "ra", "ta")] + [_said(row["avg_gap"], 1)]
        lines.append("| " + " | ".join(cells) + " |")
    return [PENALTY + "\n".join(lines)]


def publish(file: Path) -> None:
    """Write the page and its pictures; a GPU's stand beside the CPU's."""
    for name, drawn in pictures(file).items():
        record.write(PICTURES / name, drawn)
    device = json.loads(file.read_text())["settings"]["device"]
    record.write(PAGE.with_stem(f"{PAGE.stem}{ends(device)}"), written(file))
