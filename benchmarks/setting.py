"""What Unlearn-Sparse trains, how, and what is done to it, in our words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from workers.kinds import Method, Recipe
from workers.methods.boundary_expanding import BoundaryExpanding
from workers.methods.boundary_shrink import BoundaryShrink
from workers.methods.finetune import Finetune
from workers.methods.fisher import Fisher
from workers.methods.gradient_ascent import GradientAscent
from workers.methods.influence import Influence
from workers.methods.l1_sparse import L1Sparse
from workers.methods.retrain import Retrain
from workers.nets.resnet18_cifar import resnet18_cifar
from workers.normalised import Normalised
from workers.pruning.imp import Imp
from workers.sparsity import Pruner

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, how, and what is done to it."""

    fresh: Callable[[int], nn.Module]
    recipe: Recipe
    """Of the original and of retrained nets."""
    pruner: Pruner
    methods: Mapping[str, Method]
    """`retrain` first: the others are held against it."""
    label: int = 0
    share: float = 0.1
    """Held out of each class; and of what is left, forgotten at random."""


def net(seed: int) -> nn.Module:
    """ResNet-18 for small images, on the GPU if there is one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Normalised(resnet18_cifar(10, 3), MEAN, STD, 3)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    moved: nn.Module = model.to(device).to(memory_format=torch.channels_last)
    return moved


PUBLISHED = {"learning_rate": 0.01, "epochs": 10, "batch_size": 256}
"""Of finetune and l1-sparse."""
PAPER = Setting(
    fresh=net,
    recipe=Recipe(
        epochs=182, batch_size=256, learning_rate=0.1, weight_decay=5e-4, schedule="cosine",
        warmup=0.0, augment="crop_flip",
    ),
    # One round that rewinds to epoch 8 is the paper's one-shot magnitude pruning.
    pruner=Imp(sparsity=0.95, rounds=1, rewind=8, images="training"),
    methods={
        "retrain": Retrain(),
        "finetune": Finetune(**PUBLISHED),
        "l1_sparse": L1Sparse(**PUBLISHED, schedule="constant"),
        "gradient_ascent": GradientAscent(),
        "boundary_expanding": BoundaryExpanding(),
        "boundary_shrink": BoundaryShrink(),
        "influence": Influence(),
        "fisher": Fisher(labels="sampled"),
    },
)  # fmt: skip
