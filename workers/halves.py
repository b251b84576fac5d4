"""Reference models in bytes and bits: what each was trained on, and its margins for every row."""

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

MEDIA = "application/vnd.lethe.margins"


# ---- what a half is trained on -----------------------------------------------------------------


def half(rows: Tensor, groups: Tensor, seed: int) -> Tensor:
    """A random half of these rows, ascending; of each group half, give or take one.

    Args:
        rows: (n,) int64 rows of the dataset, on the CPU.
        groups: (n,) int64: what is to be balanced, such as the class of each.
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    order = order[groups[order].argsort(stable=True)]
    return rows[order[::2]].sort().values


def packed(rows: Tensor, count: int) -> bytes:
    """Rows (n,) int64 of a dataset of `count` as a bit each, low bit first."""
    mask = torch.zeros(count, dtype=torch.bool)
    mask[rows] = True
    return np.packbits(mask.numpy(), bitorder="little").tobytes()


def unpacked(bits: bytes, count: int) -> Tensor:
    """(count,) bool: what `packed` wrote."""
    flags = np.unpackbits(np.frombuffer(bits, np.uint8), count=count, bitorder="little")
    return torch.from_numpy(flags).bool()


# ---- the blob of a half ------------------------------------------------------------------------


def dump_margins(rows: Tensor, margins: Tensor) -> bytes:
    """A table of rows (n,) int64, ascending, and their logit margins (n,), as safetensors."""
    return save({"rows": rows.contiguous(), "margins": margins.float().contiguous()})


def load_margins(data: bytes) -> tuple[Tensor, Tensor]:
    """Rows and margins, as `dump_margins` wrote them."""
    tables = load(data)
    return tables["rows"], tables["margins"]


def spread(data: bytes, rows: Tensor) -> Tensor:
    """The margins of these rows, (m,) int64, as (m,) float32; NaN for a row that was cut out."""
    known, margins = load_margins(data)
    found = torch.full((len(rows),), torch.nan)
    there = torch.isin(rows, known)
    found[there] = margins[torch.searchsorted(known, rows[there])]
    return found
