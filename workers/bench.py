"""The work bench of one process: a device, the datasets that lie on it, and nets built to order."""

import hashlib
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from uuid import UUID

import psutil
import torch
from torch import Tensor, nn

from models_store import datasets
from models_store.errors import DigestMismatch, NotFound
from models_store.rungs import Subject
from models_store.store import Store
from workers import shelf, weights
from workers.data.pixels import open_pixels
from workers.evidence import Scores
from workers.kinds import Pixels, Samples
from workers.remote import open_remote
from workers.scoring import load_scores

SPLITS = ("train", "test", "holdout")
KEPT = 4
"""Datasets that stay loaded."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A dataset on the bench."""

    pixels: Pixels
    labels: Tensor
    """(N,) int64 on the device."""
    splits: Tensor
    """(N,) uint8 on the CPU: index into `SPLITS`."""
    people: Tensor
    """(N,) int64 on the CPU: the first row of the same subject; a row without one is its own."""
    shards: tuple[str, ...]
    withdrawn: tuple[int, ...]
    """Rows of an object store that must not be read any more."""

    def samples(self, rows: Tensor) -> Samples:
        """These rows, (n,) int64, as samples on the device."""
        return Samples(self.pixels, self.labels, rows.to(self.labels.device))

    def split(self, name: str) -> Tensor:
        """The rows of a split, (n,) int64 on the CPU, ascending."""
        return (self.splits == SPLITS.index(name)).nonzero().flatten()


@dataclass(slots=True)
class Bench:
    """What stays warm between two jobs."""

    store: Store
    name: str
    device: torch.device
    precision: str = "bf16"
    rates: dict[str, Any] = field(default_factory=dict)
    """What has been measured here, as the worker's row has it."""
    _laid: dict[UUID, Laid] = field(default_factory=dict)

    def lay(self, dataset_id: UUID) -> Laid:
        """Bring a dataset onto the device, unless it lies there already."""
        while True:
            digests, withdrawn = self._shards(dataset_id), self._withdrawn(dataset_id)
            laid = self._laid.get(dataset_id)
            if laid is not None and (laid.shards, laid.withdrawn) == (digests, withdrawn):
                return laid
            try:
                return self._lay_anew(dataset_id, digests, withdrawn)
            except FileNotFoundError:
                if self._shards(dataset_id) == digests:
                    raise
                # An erase job has just rewritten a shard: its copy lies there.

    def _shards(self, dataset_id: UUID) -> tuple[str, ...]:
        with self.store.read() as db:
            return tuple(shard.digest for shard in datasets.shards(db, dataset_id))

    def _withdrawn(self, dataset_id: UUID) -> tuple[int, ...]:
        if self.store.objects is None:
            return ()
        with self.store.read() as db:
            return tuple(datasets.withdrawn(db, dataset_id))

    def _lay_anew(
        self, dataset_id: UUID, digests: tuple[str, ...], withdrawn: tuple[int, ...]
    ) -> Laid:
        with self.store.read() as db:
            labels, splits, people = datasets.columns(db, dataset_id, SPLITS)
        self._laid.pop(dataset_id, None)
        while len(self._laid) >= KEPT:
            self._laid.pop(next(iter(self._laid)))
        fresh = Laid(
            pixels=self._pixels(dataset_id, digests, withdrawn),
            labels=torch.frombuffer(labels, dtype=torch.int64).clone().to(self.device),
            splits=torch.frombuffer(splits, dtype=torch.uint8).clone(),
            people=torch.frombuffer(people, dtype=torch.int64).clone(),
            shards=digests,
            withdrawn=withdrawn,
        )
        self._laid[dataset_id] = fresh
        return fresh

    def _pixels(
        self, dataset_id: UUID, digests: tuple[str, ...], withdrawn: tuple[int, ...]
    ) -> Pixels:
        """On the device where they fit; else mapped from files, or streamed from afar."""
        objects = self.store.objects
        if objects is not None and self.store.home(digests[0]) is objects:
            return open_remote(self.store, objects, dataset_id, self.device, withdrawn)
        return open_pixels([self.store.blobs.path(digest) for digest in digests], self.device)

    def net(self, subject: Subject, seed: int = 0) -> nn.Module:
        """A new, untrained net for this model on the device; the seed decides its weights."""
        height, width, channels = subject.shape
        net = shelf.build(
            subject.architecture,
            subject.parameters,
            classes=len(subject.class_names),
            shape=(height, width, channels),
            mean=subject.mean,
            std=subject.std,
            seed=seed,
        )
        return net.to(self.device).to(memory_format=torch.channels_last)

    def loaded(self, subject: Subject, digest: str) -> nn.Module:
        """The net with the weights of a version, checked against their digest.

        Raises:
            DigestMismatch: the bytes on disk are not those that were published.
            weights.UnfitWeights: they do not fit the architecture.
        """
        data = self.store.blobs.path(digest).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise DigestMismatch(f"The weights {digest} have been damaged on disk.", digest=digest)
        net = self.net(subject)
        weights.load(net, data)
        return net

    def scores(self, digest: str | None) -> Scores | None:
        """The cached forward pass of a version; None where there is none (any more)."""
        if digest is None:
            return None
        try:
            return load_scores(self.store.blobs.read(digest))
        except NotFound:
            return None

    def make_room(self) -> None:
        """Let go of everything that can be loaded again."""
        self._laid.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def settle(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_memory(self, resident: int) -> int:
        """Bytes: of the device where it has its own memory, else the resident peak as sampled."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return max(resident, psutil.Process().memory_info().rss)

    def provenance(self, seed: int) -> dict[str, Any]:
        """What decides a result beside the data: code, libraries, device, settings, seed."""
        return software() | {
            "seed": seed,
            "device": describe(self.device),
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }


def software() -> dict[str, Any]:
    """Versions of what does the work."""
    names = ("lethe", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "safetensors")
    return {name: version(name) for name in names} | {"python": platform.python_version()}


def pick_device() -> torch.device:
    """The first GPU that this process may see, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"
