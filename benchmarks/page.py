"""The page of results, made from the result files: no figure in it is typed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import audit_page, record

Row = Mapping[str, Any]

PAGE = record.ROOT / "docs" / "results.md"
CIFAR = record.RESULTS / "cifar10_all_cnn.json"
AUDIT = record.RESULTS / "audit_bench.json"

ALONE = "boundary_expanding_forget_only"
CURVE = f"{ALONE}_epochs_"
"""Rows of Boundary Expanding on the forget set alone, by the number of epochs."""
FIGURES = ("d_r", "d_f", "d_rt", "d_ft", "bn_recalibrated_d_f", "mia_auc", "seconds")
TITLES = ("D_r", "D_f", "D_rt", "D_ft", "D_f, fresh BatchNorm", "MIA AUC", "seconds", "audit")
FLOOR = {"d_f": 5.9, "d_rt": 78.0}
"""Boundary Shrink at the published settings, as first measured on this checkpoint."""

HEAD = """# Results

Made by `make bench-cifar10` and `make bench-audit` from `benchmarks/results/cifar10_all_cnn.json`
and `audit_bench.json`; what each figure means is in `benchmarks/README.md`.

## All-CNN on CIFAR-10

{settings} One run of each.

Accuracies in percent. D_r: {retain_images} training images that are kept; D_f: the forgotten ones;
D_rt and D_ft: never-trained images of the remaining and of the forgotten classes, from the half of
the test split on which nothing was tuned. *Fresh BatchNorm* is accuracy on D_f once the statistics
are re-estimated on {recalibration_images} kept images: where it is far above D_f, the model has not
forgotten, its statistics have drifted. *MIA AUC*: forgotten against never-trained images of the same
class, by logit margin; 0.5 is no trace, and the original shows how much there is to see.
*Audit*: the verdict of the service itself on the version, with the gates it failed.
"""

SECTIONS = {
    "class:4": """### Forgetting the class deer

`*_forget_only` sees no retain images and keeps BatchNorm frozen; `*_published` has the settings of
the Boundary Unlearning paper (forget set only, learning rate 1e-5, 10 epochs, BatchNorm training).
""",
    "samples:500": """### Forgetting 500 single images

The 500 belong to 5,000 that `retrained_without_random10` has never seen: what it gets right of them
is what a model that never knew them gets right. D_r leaves all 5,000 out.
""",
}

CURVE_HEAD = """### Boundary Expanding on the forget set alone

BatchNorm frozen, by epochs; the row without a number is the one above. Nothing but the forgotten
images pulls at the weights, so that what they share with other classes goes as well.
"""

BARS_HEAD = """### The bars

| bar | measured | holds |
|---|---|---|
"""


def publish() -> None:
    """Write the page of all results, and its picture."""
    record.write(PAGE, whole())
    residue = json.loads(AUDIT.read_text()).get("residue") if AUDIT.exists() else None
    if residue:
        record.write(PAGE.parent / "pictures" / "residue.svg", audit_page.power(residue))


def whole() -> str:
    """The page as Markdown."""
    return "\n".join([written(CIFAR), audit_page.written(AUDIT)])


def written(file: Path) -> str:
    """The part on methods."""
    document = json.loads(file.read_text())
    rows = {(row["name"], row["target"]): row for row in document["rows"]}
    parts = [HEAD.format(settings=record.said(document), **document["settings"])]
    for target, text in SECTIONS.items():
        here = [row for (name, of), row in rows.items() if of == target]
        parts += _section(text, [row for row in here if not row["name"].startswith(CURVE)])
    curve = [row for (name, _), row in rows.items() if name.startswith(ALONE)]
    parts += _section(CURVE_HEAD, sorted(curve, key=lambda row: int(row["params"]["epochs"])))
    bars = _bars(rows)
    return "\n".join([*parts, BARS_HEAD + "\n".join(bars) + "\n"] if bars else parts)


def _section(text: str, rows: list[Row]) -> list[str]:
    return [text, _table(rows)] if rows else []


def _table(rows: list[Row]) -> str:
    lines = ["| " + " | ".join(["", *TITLES]) + " |", "|---" * (len(TITLES) + 1) + "|"]
    for row in rows:
        cells = [f"`{row['name']}`", *(_shown(row[key], key) for key in FIGURES), _verdict(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(value: float | None, key: str) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if key == "mia_auc" else f"{value:.1f}"


def _verdict(row: Row) -> str:
    verdict = row.get("verdict", "–")
    return f"{verdict}: {', '.join(row['failed'])}" if row.get("failed") else verdict


# ---- bars --------------------------------------------------------------------------------------


def _bars(rows: Mapping[tuple[str, str], Row]) -> list[str]:
    """A line for each bar whose rows are there."""
    target = "class:4"
    if ("original", target) not in rows:
        return []
    before = rows["original", target]
    lines = []
    for name, checks in BARS.items():
        if (name, target) not in rows:
            continue
        for text, value, good in checks:
            found = value(rows[name, target], before)
            lines.append(f"| `{name}`: {text} | {found:.2f} | {'yes' if good(found) else 'no'} |")
    return lines


Check = tuple[str, Callable[[Row, Row], float], Callable[[float], bool]]


def _of(key: str) -> Callable[[Row, Row], float]:
    return lambda row, _before: float(row[key])


def _drop(row: Row, before: Row) -> float:
    return float(before["d_rt"] - row["d_rt"])


def _boundary(points: float) -> list[Check]:
    return [
        ("D_f below 1", _of("d_f"), lambda x: x < 1),
        ("D_ft below 1", _of("d_ft"), lambda x: x < 1),
        ("D_f below 10 with fresh BatchNorm", _of("bn_recalibrated_d_f"), lambda x: x < 10),
        (f"D_rt at most {points} points below the original", _drop, lambda x: x <= points),
    ]


BARS: dict[str, list[Check]] = {
    "boundary_expanding": _boundary(1.0),
    "boundary_shrink": [
        *_boundary(2.5),
        ("goal: D_rt at most 2 points below the original", _drop, lambda x: x <= 2),
    ],
    "l1_sparse": [
        ("UA at least 99", lambda row, _: 100 - float(row["d_f"]), lambda x: x >= 99),
        ("D_rt at most 2 points below the original", _drop, lambda x: x <= 2),
        ("at most 5 epochs", lambda row, _: float(row["params"]["epochs"]), lambda x: x <= 5),
    ],
    "boundary_shrink_forget_only": [
        (f"D_f below {FLOOR['d_f']}", _of("d_f"), lambda x: x < FLOOR["d_f"]),
        (f"D_rt above {FLOOR['d_rt']}", _of("d_rt"), lambda x: x > FLOOR["d_rt"]),
    ],
}
