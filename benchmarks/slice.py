"""The slice of CIFAR-10: 10,000 training images, and what was never shown to its models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import measure, nets, record, resume
from benchmarks.measure import Images, Net, Sets
from workers import training, weights
from workers.kinds import Recipe

CACHE = record.ROOT / "benchmarks" / "cache"
"""Where nets lie that several rows or scripts need; git ignores it."""
HELD = 200
"""Images of each class, of what was never seen, that methods may look at."""
RETAINED, OUTSIDE = 4_000, 2_000
"""Images that are measured of the retain set, and of what was never seen."""


@dataclass(frozen=True)
class Slice:
    """Rows of CIFAR-10, (m,) int64 each, ascending."""

    images: Images
    rows: Tensor
    """What the models of the slice were trained on."""
    strangers: Tensor
    """The other training images: no model has seen them."""

    def forget(self, target: str) -> Tensor:
        """The rows of a target."""
        return measure.chosen(self.images, self.rows, target)

    def retain(self, target: str) -> Tensor:
        """The rest of the slice."""
        return self.rows[~torch.isin(self.rows, self.forget(target))]

    def holdout(self) -> Tensor:
        """200 strangers of each class, for methods that ask how strange the unseen is."""
        return torch.cat([each[:HELD] for each in self._outside()]).sort().values

    def sets(self, target: str) -> Sets:
        """On what a target is measured; non-members are strangers that no method looks at."""
        trained = torch.zeros_like(self.images.train)
        trained[self.rows] = True
        kind, _, number = target.partition(":")
        if kind == "class":
            sets = measure.of_class(self.images, int(number), trained)
        else:
            ids = [self.images.ids[row] for row in self.forget(target).tolist()]
            sets = measure.of_samples(self.images, ids, ids, trained)
        gone = set(self.images.labels[sets.forget].tolist())
        others = [
            each[HELD : HELD + OUTSIDE // len(gone)]
            for label, each in enumerate(self._outside())
            if label in gone
        ]
        return replace(
            sets, retain=sets.retain[:RETAINED], nonmembers=torch.cat(others).sort().values
        )

    def _outside(self) -> list[Tensor]:
        """The strangers of each class, in the order of their hash."""
        labels = self.images.labels
        found = [self.strangers[labels[self.strangers] == label] for label in labels.unique()]
        return [measure.by_hash(self.images, each) for each in found]


def opened(images: Images, models: Path) -> Slice:
    """The slice by `slice_ids.txt` (one `sample_id` a line) in the folder of its checkpoints."""
    known = set((models / "slice_ids.txt").read_text().split())
    mine = torch.tensor([name in known for name in images.ids])
    return Slice(
        images=images,
        rows=(images.train & mine).nonzero().flatten(),
        strangers=(images.train & ~mine).nonzero().flatten(),
    )


def trained(
    net: Net, images: Images, rows: Tensor, recipe: Mapping[str, Any], seed: int, run: resume.Run
) -> nn.Module:
    """The net trained on these rows, or as it lies beside the run's file under `.safetensors`.

    The seed decides the new net's weights and the order of images. Raises `OutOfTimeError`.
    """
    file = run.path.with_suffix(".safetensors")
    if file.exists():
        return nets.loaded(net, images, file)
    model = nets.built(net, images, seed)
    steps = training.fit(
        model,
        images.at(rows),
        Recipe(**recipe),
        rng=torch.Generator().manual_seed(seed),
        resume=run.state,
    )
    run.carry_out(steps)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(weights.dump(model))
    return model
