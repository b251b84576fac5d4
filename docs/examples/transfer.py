"""What forgetting classes does to a net that others build upon: `python -m docs.examples.transfer DATA`.

DATA has the folders `cifar10` and `orl_faces` with Parquet files. A few minutes on a CPU.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from benchmarks import measure
from docs.examples import parts
from docs.examples.parts import METHODS, Pictures
from workers import scoring
from workers.data.pixels import Resident
from workers.kinds import Samples

GONE = (0, 1, 8, 9)
"""Airplane, automobile, ship, truck."""
PERSONS = [f"s{number}" for number in range(1, 41)]
SIDE = 32
TEXT = """# A net that others build upon

Made by `python -m docs.examples.transfer DATA` ([the script](transfer.py)); figures in
[transfer.json](transfer.json).

A net is trained on a part of CIFAR-10 and then serves as the foundation of something else: its
features, as they are, and a linear layer that is trained to recognise 40 persons (ORL faces, 7 images
each to learn from, 3 to be tested on). Now it has to forget its four classes of vehicles. Is the
foundation still good?

{table}

![Accuracies](transfer.svg)

- *vehicles*, *animals*: accuracy on test images of the classes that are forgotten and of those that
  stay, in percent.
- *faces*: test accuracy of the linear layer on the frozen features. `untrained` is a net that has
  learned nothing: what a linear layer gets out of chance features.
- *seconds*: of the method, on one core with other work beside it. All but `finetune` (a constant learning
  rate of 0.05) run as they ship.

Source: Jia, Liu et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023,
arXiv:2304.04934, section 5, which forgets classes of ImageNet and probes on other datasets; faces
credit: AT&T Laboratories Cambridge (Samaria and Harter 1994).
"""


def faces(folder: Path) -> Pictures:
    """ORL faces as 32x32 RGB images: (280 to train, 120 to test)."""
    images = measure.read(folder / "orl_faces", PERSONS)
    raw = images.samples.pixels.gather(torch.arange(len(images.ids))).permute(0, 3, 1, 2)
    small = adaptive_avg_pool2d(raw.float(), (SIDE, SIDE)).round().to(torch.uint8)
    pixels = Resident(small.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).contiguous())
    samples = Samples(pixels, images.samples.labels, images.samples.index)
    train, test = (mask.nonzero().flatten() for mask in (images.train, ~images.train))
    return Pictures(samples, train, test)


def probed(model: nn.Module, people: Pictures) -> float:
    """Test accuracy, in percent, of a linear layer on the features of a frozen net."""
    seen, asked = (scoring.score(model, people.at(rows)) for rows in (people.train, people.test))
    scale = StandardScaler().fit(seen.features)
    layer = LogisticRegression(max_iter=1000).fit(scale.transform(seen.features), seen.labels)
    return round(100 * float(layer.score(scale.transform(asked.features), asked.labels)), 1)


def figures(
    name: str, model: nn.Module, pictures: Pictures, people: Pictures, seconds: float | None
) -> dict[str, Any]:
    """One row."""
    gone = torch.isin(pictures.samples.labels[pictures.test], torch.tensor(GONE))
    return {
        "name": name,
        "vehicles": parts.accuracy(model, pictures.at(pictures.test[gone])),
        "animals": parts.accuracy(model, pictures.at(pictures.test[~gone])),
        "faces": probed(model, people),
        "seconds": seconds,
    }


def rows(pictures: Pictures, people: Pictures) -> list[dict[str, Any]]:
    """The original, an untrained net, and what each method makes of the original."""
    model = parts.trained(pictures.at(pictures.train))
    found = [figures("original", model, pictures, people, None)]
    found.append(figures("untrained", parts.net(1), pictures, people, None))
    given = parts.asked(pictures, vehicles(pictures))
    for name, method in METHODS.items():
        after, seconds = parts.unlearned(method, model, given)
        found.append(figures(name, after, pictures, people, seconds))
    return found


def vehicles(pictures: Pictures) -> Tensor:
    """The rows to forget."""
    labels = pictures.samples.labels[pictures.train]
    return pictures.train[torch.isin(labels, torch.tensor(GONE))]


def main() -> None:
    """Run it, and write the page."""
    folder = Path(sys.argv[1])
    found = rows(parts.cifar10(folder), faces(folder))
    names = [row["name"] for row in found]
    panels = [
        parts.bars(key, names, [row[key] for row in found], "percent")
        for key in ("vehicles", "animals", "faces")
    ]
    parts.publish("transfer", TEXT, found, panels)
    print(*found, sep="\n")


if __name__ == "__main__":
    main()
