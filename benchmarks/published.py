"""The published table of Unlearn-Sparse, beside which ours stands.

Source: Jia, Liu et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023,
arXiv:2304.04934, with the table of the authors' project page: CIFAR-10, ResNet-18, means of ten
runs; RTE in minutes, the same for both nets.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """A line of the table; a pair is (dense, 95 % sparse), in percent."""

    ua: tuple[float, float]
    mia: tuple[float, float]
    ra: tuple[float, float]
    ta: tuple[float, float]
    minutes: float


CLASS = {
    "retrain": Published((100.00, 100.00), (100.00, 100.00), (100.00, 99.99), (94.83, 91.80), 43.23),
    "finetune": Published((22.53, 73.64), (75.00, 83.02), (99.87, 99.87), (94.31, 94.32), 2.52),
    "gradient_ascent": Published((93.08, 98.09), (94.03, 97.74), (92.60, 87.74), (86.64, 82.58), 0.33),
    "fisher": Published((79.93, 94.83), (100.00, 100.00), (99.45, 99.48), (94.18, 94.04), 38.91),
    "influence": Published((87.82, 99.47), (95.96, 99.93), (97.98, 97.24), (91.42, 90.76), 3.25),
}  # fmt: skip
"""A class is forgotten."""

RANDOM = {
    "retrain": Published((5.41, 6.77), (13.12, 14.17), (100.00, 100.00), (94.42, 93.33), 42.15),
    "finetune": Published((6.83, 5.97), (14.97, 13.36), (96.61, 96.99), (90.13, 90.29), 2.33),
    "gradient_ascent": Published((7.54, 5.62), (10.04, 11.76), (93.31, 95.44), (89.28, 89.26), 0.31),
    "fisher": Published((7.84, 8.16), (9.52, 10.80), (92.05, 92.29), (88.10, 87.79), 38.24),
    "influence": Published((2.03, 6.51), (5.07, 11.93), (98.26, 94.94), (91.33, 88.74), 3.22),
}  # fmt: skip
"""A tenth of the images, drawn at random, is forgotten."""
