"""Which rows the comparison of methods has, in the order in which they are measured."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.gaps import REFERENCE

CLASS, SAMPLES = "class:4", "samples:500"
TARGETS = (CLASS, SAMPLES)
SLICE, FULL = "slice", "cifar10"
GIVEN = range(1, 7)
"""Seeds of the models retrained without class 4 that come with the data."""
TRAINED = range(1, 4)
"""Seeds of those without the 500 samples, which are trained here."""
DENSE = (
    "boundary_expanding", "boundary_shrink", "gradient_ascent", "random_labels", "salun",
    "l1_sparse", "finetune", "scrub", "neggrad_plus", "influence_first_order", "amnesiac",
    "ssd", "fisher", "influence",
)  # fmt: skip
"""The shelf without `retrain`, quick ones first."""
SPARSE = ("finetune", "gradient_ascent", "l1_sparse", "fisher", "influence")
CURVE = (0.75, 0.9)
"""Sparsities between none and 95 %."""
GAMMAS = (1e-4, 2e-4, 6e-4, 1e-3)
"""Of l1-sparse, around what its recipe takes: how the bar that it misses is missed."""
BENCH: Mapping[str, dict[str, Any]] = {"fisher": {"labels": "sampled"}}
"""What differs from shipped parameters: one label drawn for each image in place of a pass for each
class, the same in the mean and a tenth of the work."""


@dataclass(frozen=True)
class Prune:
    """How the net is made sparse first: on all training images, so that the method does the forgetting."""

    method: str
    sparsity: float
    params: Mapping[str, Any] = field(default_factory=lambda: {"images": "training"})

    @property
    def tag(self) -> str:
        """Within names of rows and files."""
        return f"{self.method}{round(100 * self.sparsity)}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row."""

    name: str
    target: str
    data: str = SLICE
    seed: int = 0
    method: str | None = None
    prune: Prune | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """Over those of the house."""
    long: bool = False
    """Many minutes on a CPU: measured when all others are there."""

    @property
    def key(self) -> dict[str, Any]:
        """What the row is known by."""
        return {key: getattr(self, key) for key in ("name", "target", "data", "seed")}

    @property
    def said(self) -> dict[str, Any]:
        """What was done, as the row says it."""
        prune = asdict(self.prune) if self.prune else None
        return self.key | {"method": self.method, "prune": prune}


OMP = Prune("omp", 0.95)


def cases(seeds: range) -> list[Case]:
    """All rows: sanity first, long ones last."""
    every = [*sanity(), *dense(seeds), *curve(seeds), *sparse(seeds), *full(), *trainings(seeds)]
    return sorted(every, key=lambda case: case.long)


def sanity() -> Iterator[Case]:
    """What any comparison must get right before it says anything."""
    for target in TARGETS:
        yield Case(name="original", target=target)
        yield Case(name="untrained", target=target)
    for seed in GIVEN:
        yield Case(name=REFERENCE, target=CLASS, seed=seed)
    yield Case(name=REFERENCE, target=SAMPLES, seed=1)


def dense(seeds: range) -> Iterator[Case]:
    """Every method as it ships."""
    for target in TARGETS:
        for name in DENSE:
            for seed in seeds:
                yield Case(name=name, target=target, seed=seed, method=name)


def curve(seeds: range) -> Iterator[Case]:
    """l1-sparse for the class, by its penalty."""
    for gamma in GAMMAS:
        for seed in seeds:
            params, name = {"gamma": gamma}, f"l1_sparse_gamma{gamma:g}"
            yield Case(name=name, target=CLASS, seed=seed, method="l1_sparse", params=params)


def sparse(seeds: range) -> Iterator[Case]:
    """Pruned first: at 95 %, and finetune and l1-sparse on the way there."""
    for target in TARGETS:
        yield Case(name=f"original_{OMP.tag}", target=target, prune=OMP)
        pairs = [(OMP, name) for name in SPARSE]
        if target == CLASS:
            middle = [Prune("omp", sparsity) for sparsity in CURVE]
            pairs += [(prune, name) for prune in middle for name in ("finetune", "l1_sparse")]
        for prune, name in pairs:
            for seed in seeds:
                row = f"{name}_{prune.tag}"
                yield Case(name=row, target=target, seed=seed, method=name, prune=prune)


def full() -> Iterator[Case]:
    """On all 50,000 training images."""
    yield Case(name="original", target=CLASS, data=FULL)
    yield Case(name=REFERENCE, target=CLASS, data=FULL, seed=0)
    for name in ("boundary_expanding", "boundary_shrink", "l1_sparse", "finetune"):
        yield Case(name=name, target=CLASS, data=FULL, method=name, long=True)


def trainings(seeds: range) -> Iterator[Case]:
    """Whatever trains a net from the start."""
    for seed in TRAINED[1:]:
        yield Case(name=REFERENCE, target=SAMPLES, seed=seed, long=True)
    yield Case(name="retrain", target=CLASS, method="retrain", long=True)
    shared = {"images": "training"}
    for prune in (Prune("synflow", 0.95), Prune("imp", 0.95, shared | {"rounds": 3})):
        for seed in seeds:
            name = f"finetune_{prune.tag}"
            yield Case(
                name=name, target=CLASS, seed=seed, method="finetune", prune=prune, long=True
            )
    name = f"retrain_{OMP.tag}"
    yield Case(name=name, target=CLASS, method="retrain", prune=OMP, long=True)
