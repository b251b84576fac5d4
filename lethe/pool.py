"""`lethe pool`: reference models, by which tier 1 of the audit tells what is normal."""

from typing import Annotated

import typer

from lethe.client import Json
from lethe.screen import hand

app = typer.Typer(help="Reference pools.")

COLUMNS = ("kind", "label", "draw", "state", "created_at", "retired_at", "id")


@app.command()
def build(
    context: typer.Context,
    model: str,
    size: Annotated[
        int | None,
        typer.Option(help="Nets trained on random halves (8), or without each class (5)."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Train without this class, by name or number; repeatable."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """Bring a pool to a size; what is there already counts, and each net is kept once trained."""
    body: Json = {"size": 8 if size is None else size}
    if without:
        classes = [int(name) if name.isdecimal() else name for name in without]
        each = {} if size is None else {"size": size}
        body = {"size": 0, "retrains": [{"class": name, **each} for name in classes]}
    held = hand(context)
    accepted = held.client.post(f"/models/{model}/pool", body)
    if wait:
        held.watch(f"/jobs/{accepted['id']}", f"Pool of {model}")
        held.show(held.client.get(f"/jobs/{accepted['id']}"))
    else:
        held.show(accepted)


@app.command()
def show(context: typer.Context, model: str) -> None:
    """The members of a model's pool."""
    held = hand(context)
    pool = held.client.get(f"/models/{model}/pool")
    if held.as_json:
        held.show(pool)
    else:
        held.table(pool["members"], COLUMNS)
