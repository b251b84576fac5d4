"""The methods as a textbook would write them, to be compared with: nothing here is in the product.

float32, a DataLoader that decodes each image by PIL, labels searched anew in every epoch with the
gradients of the weights thrown away, one evaluation loop for each accuracy, an attack by support
vector machines. What the published code of the papers does, less its batches of eight.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

from workers.audits.svc_mia import FEATURES, non_members
from workers.evidence import Scores
from workers.heads import head
from workers.kinds import Samples, Step

EPSILON = 0.1
ROUNDS = 2
"""Of the attack that Unlearn-Sparse makes: on the forget set, and on test images."""


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as files would give them: decoded by PIL, one at a time."""

    def __init__(
        self, samples: Samples, mean: list[float], std: list[float], *, augment: bool
    ) -> None:
        self.raw = samples.pixels.gather(samples.index).cpu().numpy()
        self.labels = samples.targets.tolist()
        moves: list[Any] = [RandomCrop(32, padding=4), RandomHorizontalFlip()] if augment else []
        self.transform = Compose([*moves, ToTensor(), Normalize(mean, std)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        image: Tensor = self.transform(Image.fromarray(self.raw[place]))
        return image, self.labels[place]


Loader = DataLoader[tuple[Tensor, int]]
Update = Callable[[Tensor, Tensor], Tensor]
"""Images and labels of a batch -> the loss to make small."""


def loader(
    samples: Samples, batch: int, mean: list[float], std: list[float], *, augment: bool = False
) -> Loader:
    """Shuffled batches, decoded in the process that trains."""
    return DataLoader(Pictures(samples, mean, std, augment=augment), batch, shuffle=True)


def shrink(net: nn.Module, batches: Loader, epochs: int, rate: float) -> Iterator[Step]:
    """Boundary Shrink: in every epoch each batch looks for its neighbours once more."""
    fixed = deepcopy(net).eval()

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        moved = images.clone().requires_grad_()
        cross_entropy(fixed(moved), labels).backward()
        assert moved.grad is not None
        with_step = (images + EPSILON * moved.grad.sign()).detach()
        return cross_entropy(net(images), fixed(with_step).argmax(1))

    return _trained(net, batches, epochs, rate, loss)


def expanding(
    net: nn.Module, classes: int, batches: Loader, epochs: int, rate: float
) -> Iterator[Step]:
    """Boundary Expanding: one output more, which all forgotten images learn."""
    last = head(net, classes)[1]
    wide = nn.Linear(last.in_features, classes + 1, device=last.weight.device)
    with torch.no_grad():
        wide.weight[:classes], wide.bias[:classes] = last.weight, last.bias
    name = next(name for name, part in net.named_modules() if part is last)
    net.set_submodule(name, wide)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(net(images), torch.full_like(labels, classes))

    return _trained(net, batches, epochs, rate, loss)


def l1_sparse(
    net: nn.Module, batches: Loader, epochs: int, rate: float, gamma: float
) -> Iterator[Step]:
    """Finetuning with the sum of all weights' sizes in the loss."""

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        everything = torch.cat([weight.flatten() for weight in net.parameters()])
        return cross_entropy(net(images), labels) + gamma * everything.abs().sum()

    return _trained(net, batches, epochs, rate, loss)


def _trained(
    net: nn.Module, batches: Loader, epochs: int, rate: float, loss: Update
) -> Iterator[Step]:
    optimiser = SGD(net.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    net.train()
    device = next(net.parameters()).device
    total, done = epochs * len(batches), 0
    for _ in range(epochs):
        for images, labels in batches:
            optimiser.zero_grad()
            value = loss(images.to(device), labels.to(device))
            value.backward()
            optimiser.step()
            value.item()  # the running average that is printed
            done += 1
            yield Step(done=done, total=total)


def evaluated(net: nn.Module, batches: Loader) -> Iterator[Step]:
    """One accuracy, batch by batch."""
    net.eval()
    right, device = 0, next(net.parameters()).device
    for done, (images, labels) in enumerate(batches, 1):
        with torch.no_grad():
            right += int((net(images.to(device)).argmax(1) == labels.to(device)).sum())
        yield Step(done=done, total=len(batches))


def attack(scores: Scores, members: Tensor, others: Tensor, forget: Tensor) -> None:
    """A round of the attack by support vector machines on all images, one for each feature."""
    for feature in FEATURES.values():
        non_members(feature, scores, members, others, forget)
