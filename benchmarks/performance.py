"""How near the hardware's limit: `make bench`. Ratios, each measured side by side in one run."""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

import torch

from benchmarks import door, ratios, record, served
from benchmarks.bed import Bed
from benchmarks.ratios import Ratios

GROUPS: tuple[Callable[[Bed], Ratios], ...] = (
    ratios.precision,
    ratios.efficiency,
    ratios.costs,
    ratios.shipped,
    ratios.retained,
    ratios.pipeline,
    ratios.textbook,
    ratios.textbook_resnet,
    ratios.growth,
    served.warm,
    served.around,
    served.together,
    door.answers,
    door.bulk,
)


@dataclass(frozen=True)
class Bar:
    """What a ratio must reach on a CPU, and what we want it to."""

    better: str
    must: float | None
    """None: told beside the others, without a bar of its own."""
    goal: float | None

    def holds(self, value: float) -> bool | None:
        """Is the bar kept?"""
        if self.must is None:
            return None
        return value >= self.must if self.better == "higher" else value <= self.must


HIGHER, LOWER = "higher", "lower"
BARS: Mapping[str, Bar] = {
    "G0_same_predictions": Bar(HIGHER, 0.995, 0.995),
    "G1_textbook_over_shrink": Bar(HIGHER, 6, 10),
    "G2_textbook_over_expanding": Bar(HIGHER, 3.5, 8),
    "G3_textbook_over_l1_sparse": Bar(HIGHER, 3.5, 4),
    "G4_textbook_over_evaluation": Bar(HIGHER, 5, 10),
    "G5_retrain_over_shrink": Bar(HIGHER, 25, 32),
    "G5_retrain_over_expanding": Bar(HIGHER, 30, 38),
    "G5_shipped_retrain_over_shrink": Bar(HIGHER, None, None),
    "G5_shipped_retrain_over_expanding": Bar(HIGHER, None, None),
    "G6_slowest_method_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G7_shrink_over_expanding": Bar(LOWER, 1.25, 1.15),
    "G8_training_full_over_matmul": Bar(HIGHER, 0.5, 0.6),
    "G8_training_resnet18_over_matmul": Bar(HIGHER, 0.5, 0.6),
    "G9_training_half_over_matmul": Bar(HIGHER, 0.33, 0.45),
    "G11_scoring_over_matmul": Bar(HIGHER, 0.55, 0.65),
    "G15_first_job_over_fifth": Bar(LOWER, 1.2, 1.2),
    "G15_cold_over_warm_start": Bar(HIGHER, 20, 20),
    "G16_p95_seconds_around_a_job": Bar(LOWER, 0.1, 0.1),
    "G17_boundary_shrink_5000_over_500": Bar(LOWER, 10.5, 10),
    "G17_boundary_expanding_5000_over_500": Bar(LOWER, 10.5, 10),
    "G18_shrink_retain_45000_over_4500": Bar(LOWER, 1.05, 1.0),
    "G19_l1_sparse_forget_5000_over_50": Bar(LOWER, 1.05, 0.9),
    "G20_l1_sparse_ten_together": Bar(LOWER, 0.12, 0.1),
    "G20_boundary_expanding_ten_together": Bar(LOWER, 0.2, 0.1),
    "G21_batch_over_textbook": Bar(LOWER, 0.12, 0.1),
    "G21_batch_over_step": Bar(LOWER, 0.01, 0.01),
    "G22_shipped_epochs_over_ten": Bar(LOWER, 0.7, 0.5),
    "G25_status_over_bare": Bar(HIGHER, 0.25, 0.4),
    "G26_rows_one_by_one_over_bulk": Bar(HIGHER, 10, 10),
}


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


HEAD = """# Performance

Made by `make bench` from `benchmarks/results/performance.json`; what each ratio means is in
`benchmarks/README.md`. Ratios of what was measured by turns in one run, on {where}, torch {torch},
{threads} threads.

| ratio | measured | must | goal | holds | commit |
|---|---|---|---|---|---|"""


def _around() -> dict[str, Any]:
    return {
        "machine": record.machine(),
        "versions": {name: version(name) for name in record.PACKAGES},
        "settings": {"threads": torch.get_num_threads(), "configuration_s": ratios.S},
    }


def entry(name: str, value: float, taken: float) -> dict[str, Any]:
    """One ratio as the file has it."""
    bar = BARS[name]
    return {
        "value": round(value, 4),
        **vars(bar),
        "holds": bar.holds(value),
        "group_seconds": round(taken, 1),
        "commit": record.commit(),
        "measured_at": record.now(),
    }


def page(all_ratios: Mapping[str, Mapping[str, Any]]) -> str:
    """The ratios as Markdown."""
    around = _around()
    machine = around["machine"]
    where = f"{machine['cores']} cores ({machine['processor']}, {machine['system']})"
    lines = [HEAD.format(where=where, torch=around["versions"]["torch"], **around["settings"])]
    for name, one in all_ratios.items():
        sign = "≥" if one["better"] == HIGHER else "≤"
        bars = [f"{sign} {bar:g}" if bar is not None else "–" for bar in (one["must"], one["goal"])]
        holds = {True: "yes", False: "**no**", None: "–"}[one["holds"]]
        cells = (f"`{name}`", f"{one['value']:.3g}", *bars, holds, f"`{one['commit'][:12]}`")
        lines.append("| " + " | ".join(cells) + " |")
    missing = [name for name in BARS if name not in all_ratios]
    if missing:
        lines += ["", "Not measured here: " + ", ".join(f"`{name}`" for name in missing) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has cifar10/train.parquet and test.parquet")
    parser.add_argument("models", type=Path, help="has all_cnn_cifar10/ and all_cnn_slice/")
    parser.add_argument("--again", action="store_true", help="also what is there already")
    parser.add_argument("--only", help="names of groups, comma-separated")
    parser.add_argument("--step-seconds", type=float, default=inf, help="begin no group later")
    asked = parser.parse_args()
    path, until = record.RESULTS / "performance.json", time.monotonic() + asked.step_seconds
    known = kept(path)
    done = {one["group"] for one in known.values()}
    names = [group.__name__ for group in GROUPS]
    wanted = asked.only.split(",") if asked.only else names
    bed = Bed.made(asked.data, asked.models)
    for group in GROUPS:
        name = group.__name__
        if name not in wanted or (name in done and not asked.again) or time.monotonic() > until:
            continue
        began = time.monotonic()
        found = group(bed)
        for ratio, value in found.items():
            known[ratio] = entry(ratio, value, time.monotonic() - began) | {"group": name}
            print(
                ratio,
                known[ratio]["value"],
                "misses" if known[ratio]["holds"] is False else "",
                flush=True,
            )
        keep(path, known)
    record.write(
        record.ROOT / "docs" / "performance.md", page(json.loads(path.read_text())["ratios"])
    )


if __name__ == "__main__":
    main()
