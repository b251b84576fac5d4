"""How near the hardware's limit: `make bench`. Ratios, each measured side by side in one run."""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any

import torch

from benchmarks import ratios, record, several, textbook
from benchmarks.bed import Bed
from benchmarks.goals import BARS, HIGHER
from benchmarks.ratios import Ratios
from workers import memory

Group = Callable[[Bed], Ratios]

WORK: Sequence[Group] = (
    ratios.precision,
    ratios.efficiency,
    ratios.compiled,
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
