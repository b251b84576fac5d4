"""`lethe tune` and `lethe tunings`: find a method's parameters for one's own model."""

from pathlib import Path
from typing import Annotated

import typer

from lethe.client import Json
from lethe.screen import Hand, hand

app = typer.Typer(help="Tuned parameters.")

COLUMNS = (
    "id", "method", "goal", "rehearsed", "status", "seconds", "params", "gap", "gap_of_defaults",
)  # fmt: skip
TRIAL_COLUMNS = ("number", "params", "gap", "figures", "seconds")
TOML = "application/toml"


def tune(
    context: typer.Context,
    model: str,
    method: str,
    label: Annotated[
        str | None, typer.Option("--class", help="Rehearse on this class, by name or number.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Or on so many samples; the dataset needs a hold-out.")
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Let the model take the best wherever none are named.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """Try a few parameters of a method on a model; the model stays as it is."""
    if (label is None) == (samples is None):
        raise typer.BadParameter("Give either --class or --samples.")
    if adopt and not wait:
        raise typer.BadParameter("--adopt waits for the end.")
    body: Json = {"method": method, "samples": samples}
    if label is not None:
        body = {"method": method, "class": int(label) if label.isdecimal() else label}
    held = hand(context)
    ordered = held.client.post(f"/models/{model}/tunings", body)
    if not wait:
        held.show(ordered)
        return
    held.watch(f"/jobs/{ordered['id']}", f"Tuning of {method} for {model}")
    _tried(held, held.client.get(f"/models/{model}/tunings/{ordered['id']}"))
    if adopt:
        held.client.post(f"/models/{model}/tunings/{ordered['id']}/adopt")
        held.say(f"{model} takes them wherever a request or policy names none.")


@app.command("list")
def listed(context: typer.Context, model: str) -> None:
    """The tunings of a model, newest first."""
    hand(context).table(hand(context).client.items(f"/models/{model}/tunings"), COLUMNS)


@app.command()
def show(context: typer.Context, model: str, tuning: str) -> None:
    """A tuning with every try so far."""
    held = hand(context)
    _tried(held, held.client.get(f"/models/{model}/tunings/{tuning}"))


@app.command()
def cancel(context: typer.Context, model: str, tuning: str) -> None:
    """Withdraw a tuning."""
    hand(context).show(hand(context).client.post(f"/models/{model}/tunings/{tuning}/cancel"))


@app.command()
def adopt(context: typer.Context, model: str, tuning: str) -> None:
    """Let a model take the best of a tuning wherever nobody names parameters."""
    hand(context).show(hand(context).client.post(f"/models/{model}/tunings/{tuning}/adopt"))


@app.command()
def adopted(context: typer.Context, model: str) -> None:
    """What a model takes, and the recipe file that fits it."""
    hand(context).show(hand(context).client.get(f"/models/{model}/tuned"))


@app.command()
def drop(
    context: typer.Context,
    model: str,
    goal: Annotated[str, typer.Argument(help="`class` or `samples`.")],
    method: str,
) -> None:
    """Take adopted parameters back."""
    hand(context).show(hand(context).client.delete(f"/models/{model}/tuned/{goal}/{method}"))


@app.command()
def export(
    context: typer.Context,
    model: str,
    to: Annotated[Path, typer.Option(help="Where to write the recipe file, such as my.toml.")],
) -> None:
    """Write what a model takes to a recipe file, for other models of its kind."""
    held = hand(context)
    to.write_bytes(held.client.text(f"/models/{model}/tuned", TOML))
    held.say(f"{to} holds the parameters; in workers/recipes/ it serves every model that it fits.")


def _tried(held: Hand, found: Json) -> None:
    """With --json everything, else a line for each try."""
    if held.as_json:
        held.show(found)
    else:
        held.table(found["trials"], TRIAL_COLUMNS)
