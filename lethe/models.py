"""`lethe models` and `lethe train`: register, bring weights in, train, take weights out."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lethe import report
from lethe.client import Json
from lethe.requests import listed_in
from lethe.screen import Hand, hand, pairs

app = typer.Typer(help="Models and their versions.")

Numbers = Annotated[str | None, typer.Option(help="One number a channel, comma-separated.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--params", help="name=value of the architecture; repeatable.")
]
Recipe = Annotated[
    list[str] | None, typer.Option("--recipe", help="name=value of the recipe; repeatable.")
]
COLUMNS = ("name", "architecture", "parameters", "created_at", "id")
VERSION_COLUMNS = ("number", "state", "assured", "parent", "method", "size", "created_at")


@app.command()
def register(
    context: typer.Context,
    name: str,
    architecture: Annotated[str, typer.Option(help="As `lethe nets` lists them.")],
    dataset: Annotated[str, typer.Option(help="Name or ID of a dataset that is ready.")],
    params: Parameters = None,
    mean: Numbers = None,
    std: Numbers = None,
) -> None:
    """Register a model; its weights come by `import` or `train`."""
    body = description(hand(context), name, architecture, dataset, params or [], mean, std)
    hand(context).show(hand(context).client.post("/models", body))


@app.command("import")
def bring(
    context: typer.Context,
    model: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="safetensors")],
    trained_on: Annotated[str, typer.Option(help="Splits, comma-separated.")] = "train",
    trained_on_ids: Annotated[
        Path | None, typer.Option(exists=True, help="Or a file of sample IDs, one on each line.")
    ] = None,
    recipe: Recipe = None,
) -> None:
    """Add weights; they are checked and audited before they are served."""
    seen = {"sample_ids": listed_in(trained_on_ids)} if trained_on_ids else None
    meta: Json = {
        "trained_on": seen or {"splits": trained_on.split(",")},
        "recipe": pairs(recipe) if recipe else None,
    }
    held = hand(context)
    accepted = held.client.upload(f"/models/{model}/versions", file, meta)
    held.watch(f"/jobs/{accepted['job']}", f"Check of {model} version {accepted['number']}")
    held.show(held.client.get(f"/models/{model}/versions/{accepted['number']}"))


def train(
    context: typer.Context,
    model: str,
    dataset: Annotated[str | None, typer.Option(help="Registers the model first, on this.")] = None,
    architecture: Annotated[str, typer.Option(help="Of a model to register.")] = "all_cnn",
    params: Parameters = None,
    mean: Numbers = None,
    std: Numbers = None,
    recipe: Recipe = None,
    seed: Annotated[int | None, typer.Option(help="By default one is drawn and kept.")] = None,
    log_updates: Annotated[
        bool, typer.Option("--log-updates", help="Keep what every update changed, for amnesiac.")
    ] = False,
) -> None:
    """Train a model by a recipe, which is kept: `exact` unlearning does the same again."""
    held = hand(context)
    if dataset is not None:
        body = description(held, model, architecture, dataset, params or [], mean, std)
        held.client.post("/models", body)
    held.show(train_here(held, model, pairs(recipe or []), seed, log_updates=log_updates))


@app.command("list")
def listed(context: typer.Context) -> None:
    """All models."""
    hand(context).table(hand(context).client.items("/models"), COLUMNS)


@app.command()
def show(context: typer.Context, model: str) -> None:
    """One model, by name or ID."""
    hand(context).show(hand(context).client.get(f"/models/{model}"))


@app.command()
def versions(context: typer.Context, model: str) -> None:
    """The versions of a model."""
    found = hand(context).client.items(f"/models/{model}/versions")
    hand(context).table(found, VERSION_COLUMNS)


@app.command()
def download(
    context: typer.Context,
    model: str,
    to: Annotated[Path, typer.Option(help="Where to write the safetensors.")],
    version: Annotated[str, typer.Option(help="A number, `active` or `latest`.")] = "active",
) -> None:
    """Fetch weights."""
    hand(context).client.download(f"/models/{model}/versions/{version}/weights", to)
    hand(context).say(f"{to} holds {model} version {version}.")


@app.command()
def promote(context: typer.Context, model: str, version: int) -> None:
    """Serve an older version again, unless it remembers what has been erased since."""
    held = hand(context)
    held.show(held.client.post(f"/models/{model}/versions/{version}/promote"))


@app.command()
def revoke(context: typer.Context, model: str, version: int) -> None:
    """Withdraw a superseded version: its weights are refused from now on."""
    held = hand(context)
    held.show(held.client.post(f"/models/{model}/versions/{version}/revoke"))


@app.command("audit")
def audit_again(
    context: typer.Context,
    model: str,
    version: Annotated[str, typer.Argument(help="A number, `active` or `latest`.")] = "active",
    tier: Annotated[
        int | None, typer.Option(min=0, max=1, help="By default the one that the policy names.")
    ] = None,
) -> None:
    """Audit a version once more, such as after a reference pool was built."""
    held = hand(context)
    body = {} if tier is None else {"tier": tier}
    accepted = held.client.post(f"/models/{model}/versions/{version}/audit", body)
    held.watch(f"/jobs/{accepted['id']}", f"Audit of {model} version {accepted['version']}")
    report.show(held, held.client.get(f"/models/{model}/audit", version=accepted["version"]))


def policy(
    context: typer.Context,
    model: str,
    replace: Annotated[
        Path | None, typer.Option("--set", exists=True, help="A JSON file with the new policy.")
    ] = None,
) -> None:
    """Show or replace a model's policy: ladder, gates, retention."""
    held, path = hand(context), f"/models/{model}/policy"
    if replace is not None:
        held.client.put(path, json.loads(replace.read_text()))
    held.show(held.client.get(path))


def train_here(
    held: Hand, model: str, recipe: Json, seed: int | None, *, log_updates: bool = False
) -> Json:
    """Have a model trained, follow it, and return the version that is served."""
    body = {"recipe": recipe, "log_updates": log_updates}
    body |= {} if seed is None else {"seed": seed}
    accepted = held.client.post(f"/models/{model}/train", body)
    held.watch(f"/jobs/{accepted['id']}", f"Training of {model}")
    return held.client.get(f"/models/{model}/versions/active")


def description(
    held: Hand,
    name: str,
    architecture: str,
    dataset: str,
    params: list[str],
    mean: str | None,
    std: str | None,
) -> Json:
    """The body of `POST /models`; without numbers, pixels are centred on 0.5 and halved."""
    channels = int(held.client.get(f"/datasets/{dataset}")["shape"][2])
    body: dict[str, Any] = {"name": name, "architecture": architecture, "dataset": dataset}
    body["parameters"] = pairs(params)
    body["mean"] = _numbers(mean) if mean else [0.5] * channels
    body["std"] = _numbers(std) if std else [0.5] * channels
    return body


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 0.5,0.5,0.5.") from error
