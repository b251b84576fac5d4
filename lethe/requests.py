"""`lethe forget` and `lethe requests`: ask for deletion, and follow what becomes of it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lethe.client import Json
from lethe.screen import Hand, hand, pairs

app = typer.Typer(help="Forget requests.")

COLUMNS = ("id", "status", "phase", "model_name", "target_count", "lane", "version", "due_at")


class Lane(StrEnum):
    """How fast, or how thorough."""

    FAST = "fast"
    QUALITY = "quality"
    EXACT = "exact"


def forget(
    context: typer.Context,
    model: str,
    label: Annotated[str | None, typer.Option("--class", help="A class name or number.")] = None,
    samples: Annotated[
        Path | None, typer.Option(exists=True, help="A file of sample IDs, one on each line.")
    ] = None,
    subjects: Annotated[str | None, typer.Option(help="Subject IDs, comma-separated.")] = None,
    lane: Annotated[Lane | None, typer.Option(help="By default fast.")] = None,
    method: Annotated[str | None, typer.Option(help="One method instead of a lane.")] = None,
    params: Annotated[
        list[str] | None, typer.Option(help="name=value of the method; repeatable.")
    ] = None,
    prune: Annotated[str | None, typer.Option(help="Make the net sparse first, by this.")] = None,
    sparsity: Annotated[float, typer.Option(help="The share that `--prune` sets to 0.")] = 0.95,
    prune_params: Annotated[
        list[str] | None, typer.Option(help="name=value of the pruner; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """File a forget request for a class, for samples or for subjects."""
    if lane and method:
        raise typer.BadParameter("Give a lane or a method, not both.")
    if prune and not method:
        raise typer.BadParameter("--prune goes before a --method; name one.")
    how: Json = {"method": method, "params": pairs(params or [])} if method else {}
    if not method:
        how = {"lane": (lane or Lane.FAST).value}
    if prune:
        first = pairs(prune_params or [])
        how["prune"] = {"method": prune, "sparsity": sparsity, "params": first}
    body = {"model": model, "target": _target(label, samples, subjects), **how}
    held = hand(context)
    request = held.client.forget(body, dry_run=dry_run)
    held.show(follow(held, request) if wait and not dry_run else request)


@app.command("list")
def listed(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only those that stand here.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
) -> None:
    """All requests, newest first."""
    found = hand(context).client.items("/forget-requests", status=status, model=model)
    hand(context).table(found, COLUMNS)


@app.command()
def show(context: typer.Context, request: str) -> None:
    """One request."""
    hand(context).show(hand(context).client.get(f"/forget-requests/{request}"))


@app.command()
def wait(context: typer.Context, request: str) -> None:
    """Follow a request to its end."""
    hand(context).show(follow(hand(context), {"id": request}))


@app.command()
def events(context: typer.Context, request: str) -> None:
    """Everything that happened to a request."""
    found = hand(context).client.items(f"/forget-requests/{request}/events")
    hand(context).table(found, ("seq", "at", "type", "actor", "facts"))


def _verb(name: str, what: str) -> None:
    @app.command(name, help=what)
    def decide(context: typer.Context, request: str) -> None:
        hand(context).show(hand(context).client.post(f"/forget-requests/{request}/{name}"))


_verb("cancel", "Withdraw a request.")
_verb("retry", "Try a failed request again.")
_verb("approve", "Let a request that awaits approval go on.")


@app.command()
def deny(
    context: typer.Context,
    request: str,
    reason: Annotated[
        str, typer.Argument(help="Such as identity_not_verified; the API lists them.")
    ],
    detail: Annotated[str, typer.Argument(help="What the person is told.")],
) -> None:
    """Refuse a request that awaits approval."""
    body = {"reason": reason, "detail": detail}
    hand(context).show(hand(context).client.post(f"/forget-requests/{request}/deny", body))


@app.command()
def extend(
    context: typer.Context,
    request: str,
    reason: Annotated[str, typer.Argument(help="Why; the law asks for it.")],
) -> None:
    """Put off the due date of a request, once, before it has come."""
    path = f"/forget-requests/{request}/extend"
    hand(context).show(hand(context).client.post(path, {"reason": reason}))


def follow(held: Hand, request: Json) -> Json:
    """Watch a request to its end and return it as it then stands. Raises `Failed`."""
    return held.watch(f"/forget-requests/{request['id']}", f"Request {request['id'][-6:]}")


def listed_in(file: Path) -> list[str]:
    """The IDs in a file, one on each line; an ID may hold spaces."""
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def _target(label: str | None, samples: Path | None, subjects: str | None) -> Json:
    given = [one for one in (label, samples, subjects) if one is not None]
    if len(given) != 1:
        raise typer.BadParameter("Give exactly one of --class, --samples and --subjects.")
    if label is not None:
        return {"kind": "class", "label": int(label) if label.isdecimal() else label}
    if samples is not None:
        return {"kind": "samples", "sample_ids": listed_in(samples)}
    assert subjects is not None
    return {"kind": "subjects", "subject_ids": subjects.split(",")}
