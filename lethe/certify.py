"""`lethe certify` and `lethe certificates`: what may be expected of a method on models of a kind."""

from typing import Annotated

import typer

from lethe.client import Json
from lethe.screen import Hand, hand, pairs

app = typer.Typer(help="Certificates of methods.")

COLUMNS = ("id", "method", "kind", "size", "status", "verdict", "granted_at", "expires_at")
FIGURES = ("test", "estimate", "low", "high", "n", "power", "verdict", "reason")


def certify(
    context: typer.Context,
    model: str,
    method: Annotated[str, typer.Option(help="From `lethe methods`.")],
    kind: Annotated[str, typer.Option(help="`samples` or `class`.")] = "samples",
    size: Annotated[
        int | None, typer.Option(help="Samples: the largest forget set that it is to cover.")
    ] = None,
    shadows: Annotated[
        int | None, typer.Option(help="Nets to train (12), or classes to forget (6).")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="name=value of the method; repeatable.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """Try a method on many models like this one; the model stays as it is."""
    body: Json = {"method": method, "kind": kind, "size": size, "shadows": shadows}
    body["params"] = pairs(param or [])
    held = hand(context)
    ordered = held.client.post(f"/models/{model}/certificates", body)
    if not wait:
        held.show(ordered)
        return
    held.watch(f"/jobs/{ordered['job']}", f"Certificate of {method} for {model}")
    _told(held, held.client.get(f"/certificates/{ordered['id']}"))


@app.command("list")
def listed(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="That it was ordered for.")] = None,
    method: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option(help="`samples` or `class`.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="`granted`, `refused` or `inconclusive`.")
    ] = None,
) -> None:
    """Certificates, newest first."""
    found = hand(context).client.items(
        "/certificates", model=model, method=method, kind=kind, verdict=verdict
    )
    hand(context).table(found, COLUMNS)


@app.command()
def show(context: typer.Context, certificate: str) -> None:
    """A certificate with every figure."""
    _told(hand(context), hand(context).client.get(f"/certificates/{certificate}"))


@app.command()
def cancel(context: typer.Context, certificate: str) -> None:
    """Withdraw the order of a certificate."""
    hand(context).show(hand(context).client.post(f"/certificates/{certificate}/cancel"))


def _told(held: Hand, found: Json) -> None:
    """With --json everything, else what it is, and a line for each figure."""
    if held.as_json:
        held.show(found)
        return
    held.show({name: found[name] for name in (*COLUMNS, "reason")})
    held.table(found["figures"], FIGURES)
