"""The report as a page: self-contained, readable by people who never saw the project."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workers import pictures

SYMBOLS = {part: f"D_{part[2:]}" for part in ("d_r", "d_f", "d_rt", "d_ft")} | {
    "ua": "UA",
    "ra": "RA",
    "ta": "TA",
    "auc": "area (AUC)",
    "tpr": "true positives at few false ones (TPR)",
    "ks": "Kolmogorov-Smirnov distance",
    "asr": "attack success rate (ASR, our definition)",
    "svc_mia": "MIA-efficacy",
    "bn_recalibration": "BatchNorm re-estimated",
}


def render(report: Mapping[str, Any]) -> str:
    """The document as one self-contained page: no script, no font, no picture from elsewhere."""
    return PAGES.get_template("audit.html.j2").render(report=report, **_view(report))


def _view(report: Mapping[str, Any]) -> dict[str, Any]:
    tests = {test["test"]: test for test in report["tests"]}
    names = report["data"]["class_names"]
    by_audit = defaultdict(list)
    for test in report["tests"]:
        by_audit[test["test"].partition(".")[0]].append(test)
    return {
        "of": by_audit,
        "parts": pictures.PARTS,
        "width": pictures.WIDTH,
        "height": pictures.HEIGHT,
        "gates": [test for test in report["tests"] if test["verdict"]],
        "drawings": pictures.histograms(tests),
        "destination": pictures.destination(tests.get("destination"), names),
        "per_class": pictures.per_class(tests.get("accuracy.test"), names),
    }


def shown(value: float | None, unit: str) -> str:
    """A number as people write it; a dash where there is none."""
    if value is None:
        return "–"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    formats = {
        "share": f"{value:.1%}".replace("%", " %"),
        "points": f"{100 * value:.1f} pt",
        "s": f"{value:.1f} s",
        "per s": f"{value:,.0f} per s",
    }
    return formats.get(unit, f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}")


def titled(test: str) -> str:
    """The name of a test as people write it: parts of the data and acronyms in their own case."""
    audit, _, part = test.partition(".")
    named = SYMBOLS.get(part) or part.replace("_", " ")
    return " · ".join(filter(None, [SYMBOLS.get(audit) or audit.replace("_", " "), named]))


PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters["shown"] = shown
PAGES.filters["titled"] = titled
PAGES.filters["words"] = lambda name: name.replace("_", " ")
