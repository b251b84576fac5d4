"""`lethe datasets`: bring images in, and look at what is there."""

from pathlib import Path
from typing import Annotated

import typer

from lethe.client import Json
from lethe.screen import Hand, hand

app = typer.Typer(help="Images with stable IDs, labels, splits and subjects.")

SUFFIXES = (".parquet", ".npz", ".zip")
COLUMNS = ("name", "state", "counts", "shape", "created_at", "id")


@app.command("import")
def bring(
    context: typer.Context,
    path: Annotated[str, typer.Argument(help=".parquet, .npz, .zip, a folder, or a URL.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
    classes: Annotated[str | None, typer.Option(help="Class names, comma-separated.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train, test or holdout, where the source does not say.")
    ] = None,
    resize: Annotated[str | None, typer.Option(help="Such as 32x32, height first.")] = None,
    holdout: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of the training subjects to hold out.")
    ] = 0.0,
) -> None:
    """Register a dataset and wait until it is decoded.

    A file is uploaded; a folder, or a file at a URL, is read by the workers where it lies
    (LETHE_IMPORT_ROOTS, LETHE_IMPORT_URLS).
    """
    meta: Json = {
        "name": name,
        "class_names": classes.split(",") if classes else None,
        "split": split,
        "resize": _size(resize) if resize else None,
        "holdout_share": holdout,
    }
    dataset = bring_in(hand(context), path if "://" in path else Path(path), meta)
    hand(context).show(dataset)


@app.command("list")
def listed(context: typer.Context) -> None:
    """All datasets."""
    hand(context).table(hand(context).client.items("/datasets"), COLUMNS)


@app.command()
def show(context: typer.Context, dataset: str) -> None:
    """One dataset, by name or ID."""
    hand(context).show(hand(context).client.get(f"/datasets/{dataset}"))


def bring_in(held: Hand, path: Path | str, meta: Json) -> Json:
    """Upload or point at the images, follow the import, and return the dataset.

    `path`: a URL where it is text.
    """
    given = {key: value for key, value in meta.items() if value is not None}
    if isinstance(path, str):
        accepted = held.client.post("/datasets", {**given, "path": path})
    elif path.is_dir():
        accepted = held.client.post("/datasets", {**given, "path": str(path.resolve())})
    elif path.suffix in SUFFIXES and path.is_file():
        accepted = held.client.upload("/datasets", path, given)
    else:
        known = ", ".join(SUFFIXES)
        raise typer.BadParameter(f"There is no folder {path}, and no such file of {known}.")
    held.watch(f"/jobs/{accepted['job']}", f"Import of {meta['name']}")
    dataset = held.client.get(f"/datasets/{accepted['id']}")
    return held.client.get(f"/datasets/{dataset['same_as']}") if dataset["same_as"] else dataset


def _size(text: str) -> list[int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise typer.BadParameter(f"{text!r} is no size such as 32x32.")
    return [int(height), int(width)]
