"""How near the hardware's limit: `make bench`. Ratios, each measured side by side in one run."""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any

import torch

from benchmarks import ratios, record, several, textbook
from benchmarks.bed import Bed
from benchmarks.ratios import Ratios
from workers import memory

Group = Callable[[Bed], Ratios]

WORK: Sequence[Group] = (
    ratios.precision,
    ratios.efficiency,
    ratios.costs,
    ratios.shipped,
    ratios.retained,
    ratios.growth,
    ratios.audits,
    textbook.pipeline,
    textbook.boundary,
    textbook.resnet,
    several.jobs,
    several.memory,
)


def groups() -> Sequence[Group]:
    """All that can be measured here: a machine that only computes has no service."""
    if find_spec("celery") is None:
        return WORK
    from benchmarks import door, served  # noqa: PLC0415 - they import the service

    around = (served.warm, served.around, served.together, door.answers, door.bulk)
    return (*WORK, *around)


@dataclass(frozen=True)
class Bar:
    """What a ratio must reach, and what we want it to."""

    better: str
    must: float | None
    """On a CPU. None: told beside the others, without a bar of its own."""
    goal: float | None
    gpu: tuple[float | None, float | None] | None = None
    """Both on an H200, where they are others."""

    @property
    def here(self) -> tuple[float | None, float | None]:
        """Both on this machine."""
        cpu = (self.must, self.goal)
        return self.gpu if self.gpu and torch.cuda.is_available() else cpu

    def holds(self, value: float) -> bool | None:
        """Is the bar kept?"""
        must = self.here[0]
        if must is None:
            return None
        return value >= must if self.better == "higher" else value <= must


HIGHER, LOWER = "higher", "lower"
BARS: Mapping[str, Bar] = {
    "G0_same_predictions": Bar(HIGHER, 0.995, 0.995),
    "G0_bf16_over_fp32_matmul": Bar(HIGHER, None, None),
    "G1_textbook_over_shrink": Bar(HIGHER, 6, 10, (25, 50)),
    "G2_textbook_over_expanding": Bar(HIGHER, 3.5, 8, (15, 30)),
    "G3_textbook_over_l1_sparse": Bar(HIGHER, 3.5, 4, (5, 8)),
    "G4_textbook_over_evaluation": Bar(HIGHER, 5, 10, (20, 50)),
    "G5_retrain_over_shrink": Bar(HIGHER, 25, 32, (15, 25)),
    "G5_retrain_over_expanding": Bar(HIGHER, 30, 38, (18, 28)),
    "G5_shipped_retrain_over_shrink": Bar(HIGHER, None, None),
    "G5_shipped_retrain_over_expanding": Bar(HIGHER, None, None),
    "G6_boundary_shrink_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_boundary_expanding_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_l1_sparse_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_finetune_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_salun_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_scrub_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G7_shrink_over_expanding": Bar(LOWER, 1.25, 1.15, (1.3, 1.2)),
    "G8_training_full_over_matmul": Bar(HIGHER, 0.5, 0.6, (0.2, 0.3)),
    "G8_training_resnet18_over_matmul": Bar(HIGHER, 0.5, 0.6, (0.2, 0.3)),
    "G9_training_half_over_matmul": Bar(HIGHER, 0.33, 0.45, (0.08, 0.15)),
    "G11_scoring_over_matmul": Bar(HIGHER, 0.55, 0.65, (0.15, 0.3)),
    "G12_forwards_of_an_image": Bar(LOWER, 1, 1),
    "G13_quick_audit_over_shrink": Bar(LOWER, 0.4, 0.15),
    "G13_full_audit_over_shrink": Bar(LOWER, 1.0, 0.4),
    "G15_first_job_over_fifth": Bar(LOWER, 1.2, 1.2),
    "G15_cold_over_warm_start": Bar(HIGHER, 20, 20, (50, 50)),
    "G16_p95_seconds_around_a_job": Bar(LOWER, 0.1, 0.1),
    "G17_boundary_shrink_5000_over_500": Bar(LOWER, 10.5, 10),
    "G17_boundary_expanding_5000_over_500": Bar(LOWER, 10.5, 10),
    "G17_boundary_shrink_linear": Bar(HIGHER, 0.99, 0.99),
    "G17_boundary_expanding_linear": Bar(HIGHER, 0.99, 0.99),
    "G18_shrink_retain_45000_over_4500": Bar(LOWER, 1.05, 1.0),
    "G18_shrink_memory_45000_over_4500": Bar(LOWER, 1.05, 1.0),
    "G19_l1_sparse_forget_5000_over_50": Bar(LOWER, 1.05, 0.9),
    "G20_l1_sparse_ten_together": Bar(LOWER, 0.12, 0.1),
    "G20_boundary_expanding_ten_together": Bar(LOWER, 0.2, 0.1),
    "G21_batch_over_textbook": Bar(LOWER, 0.12, 0.1),
    "G21_batch_over_step": Bar(LOWER, 0.01, 0.01),
    "G22_shipped_epochs_over_ten": Bar(LOWER, 0.7, 0.5),
    "G23_two_jobs_over_one": Bar(HIGHER, 0.95, 1.0, (1.5, 2.5)),
    "G24_team_of_two_over_one": Bar(HIGHER, 0.9, 1.0, (1.7, 1.85)),
    "G25_status_over_bare": Bar(HIGHER, 0.25, 0.4),
    "G25_post_over_bare": Bar(HIGHER, 0.08, 0.15),
    "G26_rows_one_by_one_over_bulk": Bar(HIGHER, 10, 10),
}


ON_CPU, ON_GPU = "performance.json", "performance_gpu.json"


def kept(path: Path) -> dict[str, dict[str, Any]]:
    """The ratios that were measured on this machine and these versions; another's are let go."""
    found = json.loads(path.read_text()) if path.exists() else {}
    same = all(found.get(name) == value for name, value in _around().items())
    ratios_before: dict[str, dict[str, Any]] = found.get("ratios", {})
    return ratios_before if same else {}


def keep(path: Path, all_ratios: Mapping[str, Mapping[str, Any]]) -> None:
    """Write them all, in the order of the goals."""
    ordered = {name: all_ratios[name] for name in BARS if name in all_ratios}
    record.write(path, json.dumps({"ratios": ordered, **_around()}, indent=1) + "\n")


def _around() -> dict[str, Any]:
    settings = {"threads": torch.get_num_threads(), "configuration_s": ratios.S}
    if torch.cuda.is_available():
        settings["device"] = torch.cuda.get_device_name()
    return {"machine": record.machine(), "versions": record.versions(), "settings": settings}


def entry(name: str, value: float, taken: float) -> dict[str, Any]:
    """One ratio as the file has it."""
    bar = BARS[name]
    must, goal = bar.here
    return {
        "value": round(value, 4),
        "better": bar.better,
        "must": must,
        "goal": goal,
        "holds": bar.holds(value),
        "group_seconds": round(taken, 1),
        "commit": record.commit(),
        "measured_at": record.now(),
    }


HEAD = """# Performance

Made by `make bench` from `benchmarks/results/performance.json`; what each ratio means is in
`benchmarks/README.md`. Every ratio is of what was measured by turns in one run, so that a machine that
is slow today is slow to both.
"""
TABLE = """
## {title}

{where}, torch {torch}, {threads} threads.

| ratio | measured | must | goal | holds | commit |
|---|---|---|---|---|---|"""
EMPTY = "\n## On a GPU\n\nNot measured yet."


def page(files: Sequence[Mapping[str, Any]]) -> str:
    """Each file's ratios as Markdown; the GPU's place is empty until there are some."""
    tables = [_table(document) for document in files]
    on_gpu = any("device" in document["settings"] for document in files)
    return "\n".join([HEAD.rstrip("\n"), *tables, *([] if on_gpu else [EMPTY])]) + "\n"


def _table(document: Mapping[str, Any]) -> str:
    machine, settings, found = document["machine"], document["settings"], document["ratios"]
    cpu = "device" not in settings
    cores = f"{machine['cores']} cores ({machine['processor']}, {machine['system']})"
    head = TABLE.format(
        title="On a CPU" if cpu else "On a GPU",
        where=cores if cpu else settings["device"],
        torch=document["versions"]["torch"],
        threads=settings["threads"],
    )
    lines = [head, *(_line(name, one) for name, one in found.items())]
    missing = [name for name in BARS if name not in found]
    if missing:
        lines += ["", "Not measured here: " + ", ".join(f"`{name}`" for name in missing) + "."]
    return "\n".join(lines)


def _line(name: str, one: Mapping[str, Any]) -> str:
    sign = "≥" if one["better"] == HIGHER else "≤"
    bars = [f"{sign} {bar:g}" if bar is not None else "–" for bar in (one["must"], one["goal"])]
    holds = {True: "yes", False: "**no**", None: "–"}[one["holds"]]
    cells = (f"`{name}`", f"{one['value']:.3g}", *bars, holds, f"`{one['commit'][:12]}`")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("models", type=Path, help="has all_cnn_cifar10/ and all_cnn_slice/")
    parser.add_argument("--again", action="store_true", help="also what is there already")
    parser.add_argument("--only", help="names of groups, comma-separated")
    parser.add_argument("--step-seconds", type=float, default=inf, help="begin no group later")
    asked = parser.parse_args()
    memory.keep()  # as a worker does
    until = time.monotonic() + asked.step_seconds
    path = record.RESULTS / (ON_GPU if torch.cuda.is_available() else ON_CPU)
    known = kept(path)
    done = {one["group"] for one in known.values()}
    bed = Bed.made(asked.data, asked.models)
    for group in groups():
        name = group.__name__
        if asked.only and name not in asked.only.split(","):
            continue
        if (name in done and not asked.again) or time.monotonic() > until:
            continue
        began = time.monotonic()
        found = group(bed)
        for ratio, value in found.items():
            known[ratio] = entry(ratio, value, time.monotonic() - began) | {"group": name}
            missed = "misses" if known[ratio]["holds"] is False else ""
            print(ratio, known[ratio]["value"], missed, flush=True)
        keep(path, known)
    publish()


def publish() -> None:
    """Make the page anew."""
    files = [record.RESULTS / each for each in (ON_CPU, ON_GPU)]
    documents = [json.loads(file.read_text()) for file in files if file.exists()]
    record.write(record.ROOT / "docs" / "performance.md", page(documents))


if __name__ == "__main__":
    main()
