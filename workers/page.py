"""The report as a page: self-contained, readable by people who never saw the project."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workers import bars, maps, pictures, traces
from workers.drawing import HOLLOW, STYLES, swatch
from workers.pictures import Figure

SYMBOLS = {part: f"D_{part[2:]}" for part in ("d_r", "d_f", "d_rt", "d_ft")} | {
    "ua": "UA",
    "ra": "RA",
    "ta": "TA",
    "auc": "area (AUC)",
    "tpr": "true positives at few false ones (TPR)",
    "ks": "Kolmogorov-Smirnov distance",
    "roc": "true positives at 0.1 % false ones",
    "asr": "attack success rate (ASR, our definition)",
    "svc_mia": "MIA-efficacy",
    "rmia": "RMIA",
    "grad_cam": "Grad-CAM",
    "bn_recalibration": "BatchNorm re-estimated",
}
ATTACKS = ("membership", "roc", "asr", "svc_mia")
ELSEWHERE = {"histograms", "destination", "embedding", "grad_cam", "accuracy", "cost", *ATTACKS}
"""Audits whose findings have a section or a picture of their own."""


def render(report: Mapping[str, Any]) -> str:
    """The document as one self-contained page: no script, no font, no picture from elsewhere."""
    return PAGES.get_template("audit.html.j2").render(report=report, **_view(report))


def _view(report: Mapping[str, Any]) -> dict[str, Any]:
    of = defaultdict(list)
    for test in report["tests"]:
        of[test["test"].partition(".")[0]].append(test)
    gates = [test for test in report["tests"] if test["verdict"]]
    others = [test for test in report["tests"] if not test["verdict"]]
    return {
        "styles": STYLES,
        "swatch": swatch,
        "hollow": HOLLOW,
        "gates": sorted(gates, key=lambda gate: ORDER.index(gate["verdict"])),
        "accuracies": of["accuracy"],
        "attacks": [test for name in ATTACKS for test in of[name] if not test["verdict"]],
        "others": [test for test in others if test["test"].partition(".")[0] not in ELSEWHERE],
        "costs": of["cost"],
        "figures": figures(report),
    }


ORDER = ("fail", "inconclusive", "pass")


def figures(report: Mapping[str, Any]) -> Sequence[Figure]:
    """All pictures that the report has numbers for, in the order in which to read them."""
    tests = {test["test"]: test for test in report["tests"]}
    names, gone = report["data"]["class_names"], report["request"]["forgotten_classes"]
    titles = {test: titled(test) for test in tests}
    return [
        *bars.forest(report["tests"], report["controls"], titles),
        *bars.per_class(tests.get("accuracy.test"), names, gone),
        *bars.destination(tests.get("destination"), names),
        *pictures.histograms(tests),
        *pictures.roc(tests.get("roc")),
        *traces.scatter(tests.get("per_record.exposed")),
        *pictures.p_values(tests),
        *traces.outlook(tests.get("rmia.auc")),
        *pictures.relearn(tests.get("relearn")),
        *traces.drift(report["history"], tests, report["models"]["after"]["number"]),
        *maps.embedding(tests.get("embedding"), names),
        *maps.heat(tests.get("grad_cam")),
    ]


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
PAGES.filters["day"] = lambda moment: moment[:10]
PAGES.filters["control"] = bars.control
PAGES.filters["words"] = lambda name: name.replace("_", " ")
