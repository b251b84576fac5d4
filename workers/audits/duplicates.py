"""Are there copies of forgotten images among those that stay?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from annotated_types import Ge
from scipy import stats
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from workers.evidence import Audit, Evidence, Finding
from workers.kinds import Samples
from workers.signals import rng, rows
from workers.statistics import Flags, Floats, proportion

SIDE = 8
"""Cells a side that a picture is shrunk to."""
CLOSEST = 0.999
"""Share of never-trained images that are less like any retained one than a near copy is."""
BEYOND_CHANCE = 0.005
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates(Audit):
    """Copies of forgotten images that stay in the training data; it only reports.

    A model that still learns from a copy still knows the image; where even a retrained model fails,
    this is the usual reason, and the report says so beside the failure. All retained images are
    looked at, shrunk to 8 x 8 grey cells without brightness and contrast, as they are and mirrored.
    `exact`: forgotten images whose nearest retained image has the same pixels. The estimate is
    the share of forgotten images nearer to a retained one than all but one in a thousand of
    never-trained images are, exact copies included; some are so by chance. Copies have to be named
    in a request to be forgotten.

    Source: our own; that copies undo forgetting, Lee et al., "Deduplicating Training Data Makes
    Language Models Better", ACL 2022 (memorisation), and Carlini et al., "Extracting Training Data
    from Diffusion Models", USENIX Security 2023.
    """

    tier: ClassVar[int] = 1
    sample: Annotated[int, Ge(1)] = 2000
    """Forgotten images, and never-trained ones, that are looked up."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for a baseline."""
        if evidence.goal == "none":
            return []
        ours, unseen = (self._some(evidence, part) for part in ("forget", "nonmembers"))
        kept = rows(evidence, "kept")
        if evidence.samples is None or not min(len(ours), len(unseen), len(kept)):
            reason = "It takes the pixels of forgotten, retained and never-trained images."
            return [Finding(test="duplicates", estimate=None, unit="share", reason=reason)]
        nearest = _nearest(evidence.samples, torch.cat([ours, unseen]), kept)
        mine, yours = nearest.likeness[: len(ours)], nearest.likeness[len(ours) :]
        exact = _same(evidence.samples, ours, nearest.row[: len(ours)])
        hits = exact | (mine > np.quantile(yours, CLOSEST, method="higher"))
        return [_told(hits, exact, len(unseen))]

    def _some(self, evidence: Evidence, part: str) -> Tensor:
        chosen = rows(evidence, part)
        return chosen[torch.from_numpy(rng(evidence).permutation(len(chosen))[: self.sample])]


def _told(hits: Flags, exact: Flags, unseen: int) -> Finding:
    count, n = int(hits.sum()), len(hits)
    share, low, high = proportion(count, n)
    chance = float(stats.binom.sf(count - 1, n, 1 - CLOSEST + 1 / (unseen + 1)))
    telling = bool(exact.any()) or chance < BEYOND_CHANCE
    reason = f"{count} of {n} forgotten images have a copy, or nearly one, among those that stay."
    return Finding(
        test="duplicates",
        estimate=share,
        low=low,
        high=high,
        n=n,
        unit="share",
        reason=reason if telling else "",
        details={"exact": int(exact.sum()), "telling": telling},
    )


class Nearest(NamedTuple):
    """Of each row that was looked up: the retained row that is most like it, and how much."""

    likeness: Floats
    row: Tensor


def _nearest(everything: Samples, sought: Tensor, kept: Tensor) -> Nearest:
    wanted = torch.cat([shrunk for shrunk, _ in _shrunk(everything, sought)])
    best = torch.full((len(sought),), -2.0, device=wanted.device)
    found = torch.zeros(len(sought), dtype=torch.int64, device=wanted.device)
    for place, (plain, mirrored) in enumerate(_shrunk(everything, kept)):
        likeness, which = torch.maximum(wanted @ plain.T, wanted @ mirrored.T).max(1)
        closer = likeness > best
        best = torch.where(closer, likeness, best)
        found = torch.where(closer, which + place * BATCH, found)
    return Nearest(best.double().cpu().numpy(), kept[found.cpu()])


@torch.no_grad()
def _shrunk(everything: Samples, chosen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Batch by batch, (n, 64) each: the cells, and those of the mirrored picture."""
    for images, _ in everything.take(chosen.to(everything.index.device)).batches(BATCH):
        cells = adaptive_avg_pool2d(images.mean(1), SIDE)
        cells = cells - cells.mean((1, 2), keepdim=True)
        yield normalize(cells.flatten(1)), normalize(cells.flip(2).flatten(1))


def _same(everything: Samples, ours: Tensor, theirs: Tensor) -> Flags:
    """Which pairs of rows have the same pixels."""
    pixels, device = everything.pixels, everything.index.device
    parts = [
        (pixels.gather(mine.to(device)) == pixels.gather(yours.to(device))).flatten(1).all(1)
        for mine, yours in zip(ours.split(BATCH), theirs.split(BATCH), strict=True)
    ]
    same: Flags = torch.cat(parts).cpu().numpy()
    return same
