"""What the two applications share: a small net on a part of CIFAR-10, trained and made to forget."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import measure, picture, record
from workers import scoring
from workers.data.pixels import Resident
from workers.drawing import Axis, Frame, Panel, Words
from workers.kinds import Given, Method, Recipe, Samples
from workers.methods.boundary_shrink import BoundaryShrink
from workers.methods.finetune import Finetune
from workers.methods.l1_sparse import L1Sparse
from workers.methods.retrain import Retrain
from workers.nets.all_cnn import all_cnn
from workers.normalised import Normalised
from workers.signals import correct
from workers.training import fit

HERE = Path(__file__).parent
RECIPE = Recipe(epochs=12, batch_size=64, learning_rate=0.1)
A_CLASS, TESTED = 400, 2_000
"""Training images of each class, and test images."""
METHODS: Mapping[str, Method] = {
    "retrain": Retrain(),
    "finetune": Finetune(learning_rate=0.05),
    "l1_sparse": L1Sparse(),
    "boundary_shrink": BoundaryShrink(),
}


@dataclass(frozen=True)
class Pictures:
    """A part of CIFAR-10: images, labels, and rows to train and to test on."""

    samples: Samples
    train: Tensor
    test: Tensor

    def at(self, rows: Tensor) -> Samples:
        """These rows."""
        return self.samples.take(rows)

    def changed(self, rows: Tensor, change: Callable[[Tensor], Tensor], label: int) -> "Pictures":
        """With other pixels, (n, H, W, C) uint8, and another label in these rows."""
        pixels = self.samples.pixels.gather(torch.arange(len(self.samples.labels)))
        pixels[rows] = change(pixels[rows])
        labels = self.samples.labels.clone()
        labels[rows] = label
        return replace(self, samples=Samples(Resident(pixels), labels, self.samples.index))


def cifar10(folder: Path) -> Pictures:
    """400 training images of each class and 2,000 test images: those that come first."""
    images = measure.read(folder / "cifar10", measure.CIFAR10)
    labels = images.labels
    train = [((labels == k) & images.train).nonzero().flatten()[:A_CLASS] for k in range(10)]
    test = (~images.train).nonzero().flatten()[:TESTED]
    return Pictures(images.samples, torch.cat(train).sort().values, test)


def net(seed: int) -> nn.Module:
    """All-CNN at a quarter of its width."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Normalised(all_cnn(10, 3, width=0.25), [0.5] * 3, [0.5] * 3, 3)
    return model.to(memory_format=torch.channels_last)


def trained(samples: Samples) -> nn.Module:
    """By the recipe."""
    model = net(0)
    for _ in fit(model, samples, RECIPE, rng=torch.Generator().manual_seed(0)):
        pass
    return model


def asked(pictures: Pictures, forget: Tensor) -> Given:
    """What methods may look at: these rows are to be forgotten."""
    retain = pictures.train[~torch.isin(pictures.train, forget)]
    return Given(
        forget=pictures.at(forget),
        retain=pictures.at(retain),
        holdout=pictures.at(retain[:0]),
        classes=10,
        fresh=net,
        recipe=RECIPE,
        rng=torch.Generator().manual_seed(1),
    )


def unlearned(method: Method, model: nn.Module, given: Given) -> tuple[nn.Module, float]:
    """A copy that has forgotten, and the seconds that it took."""
    after = deepcopy(model)
    return after, carried_out(method, after, given)


def carried_out(method: Method, model: nn.Module, given: Given) -> float:
    """Let a net forget in place; seconds."""
    since = perf_counter()
    for _ in method.unlearn(model, replace(given, rng=torch.Generator().manual_seed(1))):
        pass
    return round(perf_counter() - since, 1)


def accuracy(model: nn.Module, samples: Samples) -> float:
    """Percent correct."""
    return round(100 * float(correct(scoring.score(model, samples)).mean()), 1)


# ---- figures -------------------------------------------------------------------------------------


def bars(title: str, names: Sequence[str], values: Sequence[float], name: str) -> Panel:
    """A bar in percent for each name."""
    panel = Panel(title, 360.0, 40.0 + 24 * len(names))
    frame = Frame(panel, Axis(0.0, 100.0, name), Axis(0.0, float(len(names))), left=120.0)
    frame.axes(upright=False)
    for place, (each, value) in enumerate(zip(names, values, strict=True)):
        low = len(names) - place - 0.8
        frame.area("bar_after", [(0, low), (value, low), (value, low + 0.6), (0, low + 0.6)])
        x, y = frame.at(0.0, low + 0.3)
        panel.words.append(Words(each, x - 6, y + 4, "end"))
        x, y = frame.at(value, low + 0.3)
        panel.words.append(Words(f"{value:.1f}", x + 4, y + 4, "start"))
    return panel


def publish(name: str, text: str, rows: Sequence[dict[str, Any]], panels: Sequence[Panel]) -> None:
    """The figures as JSON, the picture, and the page with both."""
    document = {"rows": rows, "commit": record.commit(), "machine": record.machine()}
    record.write(HERE / f"{name}.json", json.dumps(document, indent=1) + "\n")
    record.write(HERE / f"{name}.svg", picture.svg(panels, len(panels)))
    record.write(HERE / f"{name}.md", page(text, rows))


def page(text: str, rows: Sequence[dict[str, Any]]) -> str:
    """The text with the table where it says so."""
    heads = list(rows[0])
    lines = ["| " + " | ".join(head.replace("_", " ") for head in heads) + " |"]
    lines.append("|---" * len(heads) + "|")
    lines += ["| " + " | ".join(_said(row[head]) for head in heads) + " |" for row in rows]
    return text.replace("{table}", "\n".join(lines))


def _said(value: Any) -> str:
    return "–" if value is None else f"`{value}`" if isinstance(value, str) else f"{value:.1f}"
