"""A few digits are taken back from a training log: `python -m docs.examples.amnesiac`.

Seconds on a CPU; the digits come with scikit-learn.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import record
from docs.examples import digits, parts
from workers.data.pixels import Resident
from workers.kinds import Given, Method, Recipe, Samples
from workers.methods.amnesiac import Amnesiac
from workers.methods.finetune import Finetune
from workers.methods.retrain import Retrain
from workers.nets.small_cnn import small_cnn
from workers.normalised import Normalised
from workers.push import mean_loss
from workers.training import fit
from workers.updates import Log, Recorder

RECIPE = Recipe(epochs=15, batch_size=8, learning_rate=0.05)
FORGOTTEN = 10
SHIFT = 5
"""Between a true label and a wrong one."""
LABEL = 7
"""A class, to be refused."""
REPAIR = Amnesiac()
METHODS: dict[str, Method] = {
    "retrain": Retrain(),
    "amnesiac": REPAIR,
    "finetune": Finetune(
        epochs=REPAIR.epochs,
        learning_rate=REPAIR.learning_rate,
        batch_size=REPAIR.batch_size,
        weight_decay=REPAIR.weight_decay,
    ),
}
TEXT = """# A few images, from a training log

Made by `python -m docs.examples.amnesiac` ([the script](amnesiac.py)); figures in
[amnesiac.json](amnesiac.json).

A small net learns scikit-learn's digits in batches of 8, and writes down what each update changed. Ten of
the images have a wrong label (five more than the true one), which nobody can know who has not seen them.
Then the ten are to be forgotten: [`amnesiac`](../methods.md#a-training-log) takes back the updates whose
batches held one of them, {touched} of {updates}, and repairs on the rest. `finetune` is the repair alone,
and `retrain` a net that never saw the ten.

{table}

- *forgotten*: percent of the ten that the net gives their wrong label. Each is ten points.
- *forgotten loss*: their mean cross-entropy, in nats, with the wrong label.
- *retained*, *test*: percent correct.
- *seconds*: of the method, on one core with other work beside it.

A whole class is refused: {refusal}

Source: Graves, Nagisetty and Ganesh, "Amnesiac Machine Learning", AAAI 2021, arXiv:2010.10981.
"""


def read() -> parts.Pictures:
    """The digits with the split of `digits.py`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digits.npz"
        digits.main(str(file))
        with np.load(file) as found:
            pixels = Resident(torch.from_numpy(found["images"])[..., None])
            labels = torch.from_numpy(found["labels"]).long()
            train = torch.from_numpy(found["split"] == "train")
    rows = torch.arange(len(labels))
    return parts.Pictures(Samples(pixels, labels, rows), rows[train], rows[~train])


def mislabelled(pictures: parts.Pictures) -> tuple[parts.Pictures, Tensor]:
    """Some training images with a wrong label, and their rows."""
    chance, labels = torch.Generator().manual_seed(0), pictures.samples.labels.clone()
    rows = pictures.train[torch.randperm(len(pictures.train), generator=chance)[:FORGOTTEN]]
    labels[rows] = (labels[rows] + SHIFT) % 10
    return replace(pictures, samples=replace(pictures.samples, labels=labels)), rows


def net(seed: int) -> nn.Module:
    """Three convolutions."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: nn.Module = Normalised(small_cnn(10, 1, filters=16), [0.5], [0.5], 1)
    return model


def logged(pictures: parts.Pictures, file: Path) -> tuple[nn.Module, Log]:
    """A net that has learned the training images, and what each update changed."""
    model, samples = net(0), pictures.at(pictures.train)
    with file.with_suffix(".data").open("w+b") as data:
        recorder = Recorder(data, model, samples.index)
        chance = torch.Generator().manual_seed(0)
        for _ in fit(model, samples, RECIPE, rng=chance, precision="fp32", after=recorder):
            pass
        with file.open("wb") as whole:
            whole.writelines(recorder.pieces())
    return model, Log(file)


def asked(pictures: parts.Pictures, forget: Tensor, log: Log) -> Given:
    """What methods may look at."""
    given = parts.asked(pictures, forget)
    return replace(given, fresh=net, recipe=RECIPE, updates=log, precision="fp32")


def figures(
    name: str, model: nn.Module, pictures: parts.Pictures, given: Given, seconds: float | None
) -> dict[str, Any]:
    """One row."""
    return {
        "name": name,
        "forgotten": parts.accuracy(model, given.forget),
        "forgotten_loss": round(mean_loss(model, given.forget, "fp32"), 1),
        "retained": parts.accuracy(model, given.retain),
        "test": parts.accuracy(model, pictures.at(pictures.test)),
        "seconds": seconds,
    }


def measured(pictures: parts.Pictures, file: Path) -> dict[str, Any]:
    """The rows, how many updates were taken back, and why a class was refused."""
    pictures, forget = mislabelled(pictures)
    model, log = logged(pictures, file)
    given = asked(pictures, forget, log)
    rows = [figures("original", model, pictures, given, None)]
    for name, method in METHODS.items():
        after, seconds = parts.unlearned(method, model, given)
        rows.append(figures(name, after, pictures, given, seconds))
    of_class = pictures.train[pictures.samples.labels[pictures.train] == LABEL]
    refusal = ""
    try:
        parts.unlearned(REPAIR, model, asked(pictures, of_class, log))
    except ValueError as no:
        refusal = str(no)
    touched = len(REPAIR.touched(log, forget))
    updates = sum(key.startswith("rows.") for key in log)
    return {"rows": rows, "touched": touched, "updates": updates, "refusal": refusal}


def written(found: dict[str, Any]) -> str:
    """The page."""
    text = TEXT
    for name in ("touched", "updates", "refusal"):
        text = text.replace(f"{{{name}}}", str(found[name]))
    return parts.page(text, found["rows"])


def main() -> None:
    """Run it, and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(read(), Path(folder) / "log")
    document = {**found, "commit": record.commit(), "machine": record.machine()}
    record.write(parts.HERE / "amnesiac.json", json.dumps(document, indent=1) + "\n")
    record.write(parts.HERE / "amnesiac.md", written(found))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
