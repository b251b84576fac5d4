"""Evidence by the throw of dice: margins of known law, no net is trained. Samples are forgotten."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.data.pixels import Resident
from workers.evidence import Evidence, References, Scores
from workers.innocents import from_margins
from workers.kinds import Samples

CLASSES, FORGET, RETAIN, UNSEEN, POOL = 4, 500, 250, 2000, 8
ROWS = FORGET + RETAIN + UNSEEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """By how much being trained on raises a margin, before, after and in the pool."""

    before: float = 2.0
    after: float = 0.0
    pool: float = 2.0
    brighter: int = 0
    """By how much pixels of never-trained images differ."""
    picked: float = 0.0
    """By how much harder forgotten images are, as if somebody had picked them."""
    seed: int = 0


def evidence(law: Law) -> Evidence:
    chance = torch.Generator().manual_seed(law.seed)
    rows, member = torch.arange(ROWS), torch.arange(ROWS) < FORGET + RETAIN
    labels = torch.randint(CLASSES, (ROWS,), generator=chance)
    hard = 2 * torch.randn(ROWS, generator=chance) - law.picked * (rows < FORGET)
    parts = dict(zip(("forget", "retain", "nonmembers"), split(rows), strict=True))

    def margins(shape: tuple[int, ...], raised: Tensor) -> Tensor:
        return hard + torch.randn(shape, generator=chance) + raised

    known = member & (rows >= FORGET)
    before = margins((ROWS,), law.before * member)
    after = margins((ROWS,), law.before * known + law.after * (rows < FORGET))
    trained = torch.rand(POOL, ROWS, generator=chance).argsort(0).argsort(0) < POOL // 2
    images = torch.randint(100, 140, (ROWS, 8, 8, 1), generator=chance, dtype=torch.uint8)
    images[~member] += law.brighter
    nets = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)),
        nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)),
    )
    return Evidence(
        before=scores(before, labels),
        after=scores(after, labels),
        recalibrated=None,
        parts={**parts, "retain_test": parts["nonmembers"], "forget_test": rows[:0]},
        classes=CLASSES,
        goal="samples",
        forgotten_classes=(),
        model_before=nets[0],
        model_after=nets[1],
        requested=parts["forget"],
        removed=parts["forget"],
        samples=Samples(Resident(images), labels, rows),
        references=References(
            rows=rows, margins=margins((POOL, ROWS), law.pool * trained), trained=trained
        ),
        rng=torch.Generator().manual_seed(1),
    )


def split(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split([FORGET, RETAIN, UNSEEN])


def scores(margins: Tensor, labels: Tensor) -> Scores:
    return Scores(
        rows=torch.arange(len(labels)),
        logits=from_margins(margins.float(), labels, CLASSES),
        features=torch.zeros(len(labels), 4, dtype=torch.float16),
        labels=labels,
    )
