"""An audit report on a terminal: verdict, statement, and a table of before and after."""

from rich.table import Table

from lethe.client import Json
from lethe.screen import Hand

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
BEFORE_AND_AFTER = ("n", "before", "after", "interval", "verdict")


def show(held: Hand, report: Json) -> None:
    """Gates first, then what is only reported; with --json, the document itself."""
    if held.as_json:
        held.show(report)
        return
    after = report["models"]["after"]
    held.say(
        f"{report['models']['name']} version {after['number']} "
        f"({after['method'] or 'as it came'}): {report['headline']}"
    )
    held.say(report["statement"]["dpo"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("test")
    for column in BEFORE_AND_AFTER:
        table.add_column(column, justify="right" if column != "verdict" else "left")
    measured = [test for test in report["tests"] if test["estimate"] is not None or test["verdict"]]
    for test in sorted(measured, key=lambda test: test["verdict"] is None):
        table.add_row(*_row(test))
    held.console.print(table)


def _row(test: Json) -> list[str]:
    unit, verdict = test["unit"], test["verdict"]
    estimate, low, high = (_number(test[part], unit) for part in ("estimate", "low", "high"))
    colour = COLOURS.get(verdict, "")
    return [
        test["test"],
        str(test["n"]) if test["n"] else "",
        _number(test["before"], unit),
        estimate,
        f"{low} to {high}" if low and high else "",
        f"[{colour}]{verdict}[/]" if colour else "",
    ]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "share":
        return f"{value:.1%}"
    if unit == "points":
        return f"{100 * value:+.1f} pp"
    return f"{value:,.3g} {unit}".strip()
