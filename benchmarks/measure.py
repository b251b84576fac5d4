"""One way of measuring for all rows: weights in, accuracies and a membership attack out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workers import scoring
from workers.audits.svc_mia import FEATURES, HEADLINE, non_members
from workers.data.pixels import Resident
from workers.data.readers import open_source
from workers.data.records import ImportOptions
from workers.evidence import Scores
from workers.kinds import Samples
from workers.signals import correct, margin
from workers.statistics import auc

CIFAR10 = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip
"""Names of its classes, in the order of their labels."""
RETAINED = 10_000
RECALIBRATION = 2_000
ATTACKERS = 2_000
SETTINGS = {
    "retain_images": RETAINED,
    "recalibration_images": RECALIBRATION,
    "test_half": "first byte of SHA-256(sample_id) odd; methods were tuned on the even half",
    "precision": "bf16",
}
"""What the figures hang on beside the weights."""


@dataclass(frozen=True)
class Net:
    """An architecture as it is registered with the service."""

    architecture: str
    parameters: dict[str, float]
    mean: list[float]
    std: list[float]


@dataclass(frozen=True)
class Images:
    """A data set in memory, rows in the order of the file."""

    samples: Samples
    ids: list[str]
    train: Tensor
    """(N,) bool on the CPU; all others are test images."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64 on the CPU."""
        return self.samples.labels.cpu()

    def at(self, rows: Tensor) -> Samples:
        """These rows, (n,) int64."""
        return self.samples.take(rows.to(self.samples.index.device))

    def row_of(self) -> dict[str, int]:
        """Rows by sample ID."""
        return {name: row for row, name in enumerate(self.ids)}


@dataclass(frozen=True)
class Sets:
    """What is measured on what; rows, (m,) int64 each."""

    forget: Tensor
    retain: Tensor
    recalibration: Tensor
    retain_test: Tensor
    forget_test: Tensor
    """Empty where no whole class is forgotten."""
    nonmembers: Tensor
    """Test images of the classes of the forget set."""


def read(folder: Path, class_names: list[str]) -> Images:
    """Decode a data set with the code that the service imports it with; onto a GPU, if any."""
    source = open_source(folder, ImportOptions(classes=class_names))
    records = list(source.records())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels = torch.from_numpy(np.stack([record.image for record in records])).to(device)
    labels = torch.tensor([record.label for record in records], device=device)
    index = torch.arange(len(records), device=device)
    return Images(
        samples=Samples(Resident(pixels), labels, index),
        ids=[record.sample_id for record in records],
        train=torch.tensor([record.split == "train" for record in records]),
    )


def of_class(images: Images, label: int, trained: Tensor | None = None) -> Sets:
    """The forget set is every training image of a class.

    Args:
        trained: (N,) bool: what the models have seen, where that is not every training image.
    """
    mine, reported = images.labels == label, _reported(images)
    train = images.train if trained is None else trained
    return _sets(
        images,
        forget=_rows(train & mine),
        kept=train & ~mine,
        retain_test=_rows(reported & ~mine),
        forget_test=_rows(reported & mine),
    )


def of_samples(
    images: Images, ids: list[str], strangers: list[str], trained: Tensor | None = None
) -> Sets:
    """The forget set is `ids`; `strangers` are left out of D_r, as some model may not know them.

    Args:
        trained: as for `of_class`.
    """
    row_of = images.row_of()
    kept = (images.train if trained is None else trained).clone()
    kept[[row_of[name] for name in [*ids, *strangers]]] = False
    return _sets(
        images,
        forget=torch.tensor([row_of[name] for name in ids]),
        kept=kept,
        retain_test=_rows(_reported(images)),
        forget_test=torch.zeros(0, dtype=torch.int64),
    )


def chosen(images: Images, rows: Tensor, target: str) -> Tensor:
    """Which of these rows are meant, ascending.

    `class:4` is every image with this label, `samples:500` the 500 with the lowest SHA-256 of
    "forget " and their ID.
    """
    kind, _, number = target.partition(":")
    if kind == "class":
        return rows[images.labels[rows] == int(number)]
    return by_hash(images, rows, "forget ")[: int(number)].sort().values


def by_hash(images: Images, rows: Tensor, before: str = "") -> Tensor:
    """In the order of the SHA-256 of their IDs, with something in front."""
    order = sorted(rows.tolist(), key=lambda row: _digest(f"{before}{images.ids[row]}"))
    return torch.tensor(order)


def measured(model: nn.Module, images: Images, sets: Sets) -> dict[str, float | None]:
    """Percent correct on each set, and the area under the curve of a logit-margin attack."""
    return figures(model, images, sets)[0]


def compared(model: nn.Module, images: Images, sets: Sets) -> dict[str, float | None]:
    """The same, and `ua ra ta mia` as Unlearn-Sparse defines them, in percent.

    The attack learns from 2,000 images of D_r and 2,000 of D_rt, those that come first.

    Source: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, section 3.
    """
    found, scores = figures(model, images, sets)
    called = non_members(
        FEATURES[HEADLINE],
        scores,
        sets.retain[:ATTACKERS],
        sets.retain_test[:ATTACKERS],
        sets.forget,
    )
    return found | {
        "ua": round(100 - (found["d_f"] or 0.0), 3),
        "ra": found["d_r"],
        "ta": found["d_rt"],
        "mia": round(100 * called / len(sets.forget), 3),
    }


def figures(model: nn.Module, images: Images, sets: Sets) -> tuple[dict[str, float | None], Scores]:
    """What `measured` says, and the scores that it read it from."""
    wanted = [sets.forget, sets.retain, sets.retain_test, sets.forget_test, sets.nonmembers]
    scores = scoring.score(model, images.at(torch.cat(wanted)))
    fresh = scoring.recalibrated(model, images.at(sets.recalibration))
    again = scoring.score(fresh, images.at(sets.forget)) if fresh else None
    found = {
        "d_r": _accuracy(scores, sets.retain),
        "d_f": _accuracy(scores, sets.forget),
        "d_rt": _accuracy(scores, sets.retain_test),
        "d_ft": _accuracy(scores, sets.forget_test),
        "bn_recalibrated_d_f": _accuracy(again, sets.forget) if again else None,
        "mia_auc": _attack(scores, sets.forget, sets.nonmembers),
    }
    return found, scores


def _sets(
    images: Images, *, forget: Tensor, kept: Tensor, retain_test: Tensor, forget_test: Tensor
) -> Sets:
    labels = images.labels
    retain = sorted(_rows(kept).tolist(), key=lambda row: _digest(images.ids[row]))
    unseen = torch.cat([retain_test, forget_test])
    return Sets(
        forget=forget,
        retain=torch.tensor(retain[:RETAINED]),
        recalibration=torch.tensor(retain[:RECALIBRATION]),
        retain_test=retain_test,
        forget_test=forget_test,
        nonmembers=unseen[torch.isin(labels[unseen], labels[forget])],
    )


def _reported(images: Images) -> Tensor:
    """(N,) bool: the half of the test split on which nothing was tuned."""
    odd = torch.tensor([_digest(name)[0] % 2 == 1 for name in images.ids])
    return odd & ~images.train


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _rows(mask: Tensor) -> Tensor:
    return mask.nonzero().flatten()


def _accuracy(scores: Scores, rows: Tensor) -> float | None:
    return round(100 * float(correct(scores.of(rows)).mean()), 3) if len(rows) else None


def _attack(scores: Scores, members: Tensor, others: Tensor) -> float:
    ours, theirs = scores.of(members), scores.of(others)
    area = auc(margin(ours), margin(theirs), ours.labels.numpy(), theirs.labels.numpy())
    return round(area.value, 4)
