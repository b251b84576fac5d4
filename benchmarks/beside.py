"""The published table of Unlearn-Sparse beside ours; what was not run stays empty."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.published import CLASS, RANDOM, Published

Row = dict[str, Any]
KEYS = ("ua", "mia", "ra", "ta")
NAMES = ("retrain", "finetune", "l1_sparse", "gradient_ascent", "influence", "fisher")
NAMES_OURS = ("boundary_expanding", "boundary_shrink")
SPARSE = "_sparse95"

HEAD = """## ResNet-18, beside the published table

Made by `python -m benchmarks.resnet18 DATA`, unattended, where a GPU is at hand; {state} Published:
Jia, Liu et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv:2304.04934, with
the table of the authors' project page (means of ten runs; the exact figures of l1-sparse were not
printed; minutes on their machine, without pruning). Ours: the same net and the same sizes (45,000 training
images, 182 epochs, batches of 256, learning rate 0.1, weight decay 5e-4, crops and flips; sparse nets by one
round of magnitude pruning that rewinds to epoch 8), with a cosine schedule for the original and retrained
nets alike, finetuning without crops and flips, and images that were kept as JPEG: compare differences to
`retrain`, not the figures themselves.
"""
NOT_RUN = "it has not been run yet, so that our cells are empty."
RUN = "means of {seeds} seeds on {device}."


def written(document: Row | None) -> str:
    """The section, with or without a result file."""
    state, rows = NOT_RUN, list[Row]()
    if document is not None:
        rows = document["rows"]
        seeds = len({row["seed"] for row in rows})
        state = RUN.format(seeds=seeds, device=document["settings"]["device"])
    parts = [HEAD.format(state=state)]
    for title, start, known in (
        ("A class", "class:", CLASS),
        ("A tenth of the images, at random", "samples:", RANDOM),
    ):
        here = [row for row in rows if row["target"].startswith(start)]
        parts += [f"### {title}\n", _table(here, known)]
    return "\n".join(parts)


def _table(rows: Sequence[Row], known: Mapping[str, Published]) -> str:
    heads = ["", "", *(key.upper() for key in KEYS), "minutes"]
    lines = ["| " + " | ".join([*heads[:2], *_twice(heads[2:])]) + " |"]
    lines.append("|---" * (2 + 2 * len(heads[2:])) + "|")
    for name in (*NAMES, *NAMES_OURS):
        for sparse in (False, True):
            cells = [f"`{name}`", "95 %" if sparse else "dense"]
            theirs, ours = _published(known.get(name), sparse), _ours(rows, name, sparse)
            cells += [cell for pair in zip(theirs, ours, strict=True) for cell in pair]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _twice(heads: Sequence[str]) -> list[str]:
    return [word for head in heads for word in (f"{head}, published", "ours")]


def _published(line: Published | None, sparse: bool) -> list[str]:  # noqa: FBT001 - a column of the table
    if line is None:
        return [""] * 5
    pairs = (line.ua, line.mia, line.ra, line.ta)
    return [*(f"{pair[int(sparse)]:.1f}" for pair in pairs), f"{line.minutes:.1f}"]


def _ours(rows: Sequence[Row], name: str, sparse: bool) -> list[str]:  # noqa: FBT001 - likewise
    named = name + SPARSE * sparse
    mine = [row for row in rows if row["name"] == named and row["ua"] is not None]
    if not mine:
        return [""] * 5
    means = [fmean(row[key] for row in mine) for key in KEYS]
    minutes = fmean(row["rte_seconds"] for row in mine) / 60
    return [*(f"{mean:.1f}" for mean in means), f"{minutes:.1f}"]
