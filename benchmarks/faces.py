"""A person is forgotten by a net that recognises faces: `python -m benchmarks.faces DATA`.

ORL faces, 40 persons with 7 images each to learn from; a few minutes on a CPU. Writes
`results/orl_faces.json`, `docs/faces.md` and its picture.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from benchmarks import comparison, measure, nets, picture, record, resume, trial
from benchmarks.gaps import REFERENCE, with_gaps
from benchmarks.measure import Images, Net, Sets
from benchmarks.slice import CACHE
from workers import maps, methods, shelf, training
from workers.audits.grad_cam import heat
from workers.data.pixels import Resident
from workers.drawing import Panel
from workers.kinds import Method, Recipe

PERSONS = [f"s{number}" for number in range(1, 41)]
PERSON = 4
"""Who is forgotten: s5."""
NET = Net("all_cnn", {"width": 0.25}, mean=[0.5], std=[0.25])
RECIPE: dict[str, Any] = {"epochs": 20, "batch_size": 14, "learning_rate": 0.03}
NAMES = ("boundary_expanding", "boundary_shrink", "l1_sparse")
RETRAINED = range(1, 4)
SHOWN = ("original", "boundary_shrink", "l1_sparse", REFERENCE)
PAGE = record.ROOT / "docs" / "faces.md"

TEXT = """# Forgetting a person

Made by `python -m benchmarks.faces DATA` from `benchmarks/results/orl_faces.json`.

{settings}

A net recognises 40 persons (ORL faces: 7 images of each to learn from, 3 to be tested on; credit: AT&T
Laboratories Cambridge, Samaria and Harter 1994). One of them, s5, asks to be forgotten. What the columns
mean stands in [How the methods compare](comparison.md); the forget set is 7 images, so that one image is
14 points, and the attack has three never-trained images of the person to go by. Seconds are those of one
thread with other work beside it.

{table}

![Grad-CAM](pictures/faces-grad-cam.svg)

Where each net looks for the person (mean Grad-CAM heat maps of the class s5, after the ReLU of the last
block, `features.7`; Selvaraju et al., ICCV 2017; on the forgotten images, the person's test images, and,
of their own classes, retained images). The stronger the colour, the more that place speaks for the class. Heat maps are an illustration: they show
where a logit comes from, not how large it is. In an empty map nothing speaks for the class.
"""


def read(folder: Path) -> Images:
    """The faces at half their height and width: 46x56 grey pixels."""
    images = measure.read(folder / "orl_faces", PERSONS)
    every = torch.arange(len(images.ids))
    raw = images.samples.pixels.gather(every).cpu().permute(0, 3, 1, 2)
    small = avg_pool2d(raw.float(), 2).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    pixels = Resident(small.to(images.samples.labels.device))
    return replace(images, samples=replace(images.samples, pixels=pixels))


def sets(images: Images) -> Sets:
    """All images are measured: there are few, and nothing was tuned on them."""
    mine, labels = images.labels == PERSON, images.labels
    rows = torch.arange(len(labels))
    retain = rows[images.train & ~mine]
    unseen = rows[~images.train & mine]
    return Sets(
        forget=rows[images.train & mine],
        retain=retain,
        recalibration=retain,
        retain_test=rows[~images.train & ~mine],
        forget_test=unseen,
        nonmembers=unseen,
    )


def learned(images: Images, rows: Tensor, seed: int) -> nn.Module:
    """A net trained on these rows."""
    model = nets.built(NET, images, seed)
    chance = torch.Generator().manual_seed(seed)
    for _ in training.fit(model, images.at(rows), Recipe(**RECIPE), rng=chance):
        pass
    return model


def made(images: Images) -> dict[str, tuple[nn.Module, trial.Row]]:
    """Every net by name and seed, and what it took."""
    parts = sets(images)
    original = learned(images, torch.cat([parts.forget, parts.retain]).sort().values, 0)
    found: dict[str, tuple[nn.Module, trial.Row]] = {"original:0": (original, {})}
    for seed in RETRAINED:
        found[f"{REFERENCE}:{seed}"] = (learned(images, parts.retain, seed), {})
    for name in NAMES:
        method = shelf.make(shelf.take(methods, Method, name), {})
        rows = (parts.forget, parts.retain, parts.retain[:0])
        asked = trial.given(images, rows, partial(nets.built, NET, images), Recipe(**RECIPE), 0)
        run = resume.Run(CACHE / f"faces_{name}.run")
        found[f"{name}:0"] = trial.unlearned(method, original, asked, run)
    return found


def row(images: Images, name: str, model: nn.Module, took: trial.Row) -> trial.Row:
    """Measured as in the comparison on CIFAR-10."""
    name, _, seed = name.partition(":")
    key = {"name": name, "target": f"class:{PERSON}", "data": "orl_faces", "seed": int(seed)}
    method = name if name in NAMES else None
    facts = dict.fromkeys(trial.FIGURES) | took | {"sparsity": trial.zeros(model)}
    return key | facts | measure.compared(model, images, sets(images)) | {"method": method}


def warmth(images: Images, model: nn.Module) -> dict[str, Any]:
    """Mean heat maps of the class that is forgotten, as the report keeps them."""
    parts = sets(images)
    shown = {"forget": parts.forget, "forget_test": parts.forget_test, "retain": parts.retain[:64]}
    return {
        name: heat(model, images.at(rows)).mean(0).double().tolist() for name, rows in shown.items()
    }


def panels(images: Images, models: dict[str, nn.Module]) -> list[Panel]:
    """A panel for each net, on one scale of its own."""
    found = []
    for name, model in models.items():
        (figure,) = maps.heat({"details": {"before": warmth(images, model)}})
        found.append(replace(figure.panels[0], title=name))
    return found


def written(document: trial.Row) -> str:
    """The page."""
    table = comparison.table(document["rows"])
    return TEXT.format(settings=comparison.said(document), table=table)


def main() -> None:
    """Train, forget, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="has orl_faces/train.parquet and test.parquet")
    images = read(parser.parse_args().data)
    settings = {"net": vars(NET), "recipe": RECIPE, "device": "cpu"}
    path = record.RESULTS / "orl_faces.json"
    kept = record.Record(path, settings, ("name", "target", "data", "seed"))
    found = made(images)
    for name, (model, took) in found.items():
        kept.add(row(images, name, model, took))
        print(kept.rows[-1], flush=True)
    kept.amend(with_gaps)
    models = {name: found[f"{name}:{int(name == REFERENCE)}"][0] for name in SHOWN}
    drawn = picture.svg(panels(images, models), 2)
    record.write(comparison.PICTURES / "faces-grad-cam.svg", drawn)
    record.write(PAGE, written({"rows": kept.rows, **kept.around}))


if __name__ == "__main__":
    main()
