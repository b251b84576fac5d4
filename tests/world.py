"""A small world for tests of the store: four classes of ten samples, one model, one version."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from models_store import (
    audits,
    datasets,
    jobs,
    offers,
    outcomes,
    pools,
    registry,
    requests,
    reviews,
    rungs,
)  # fmt: skip
from models_store import versions as shelf
from models_store.audits import Report
from models_store.claims import Claim
from models_store.datasets import SampleRow
from models_store.life import Lane, MemberKind, VersionState
from models_store.offers import Ability
from models_store.outcomes import Made
from models_store.pools import Built
from models_store.registry import NewModel
from models_store.requests import Ask
from models_store.rungs import Rung
from models_store.store import Store
from models_store.tables import Blob, Dataset, ForgetRequest, Version
from models_store.targets import Target

CLASSES = ("airplane", "cat", "deer", "ship")
PER_CLASS = 10
TRAIN = 8
RECIPE = {"epochs": 1}


@dataclass(slots=True)
class World:
    """What stands in the store, and short ways to do what a door and a worker do."""

    store: Store
    dataset_id: UUID
    model_id: UUID
    worker: str = "worker-1"
    asked: int = field(default=0)

    def ask(self, target: Target, **choices: Any) -> ForgetRequest:
        """Submit a request in a transaction of its own."""
        self.asked += 1
        plain = {"owner": "me", "key": None, "body_digest": f"body {self.asked}", "model": "zoo"}
        chosen = {"lane": Lane.FAST, "method": None} | plain | choices
        with self.store.begin() as db:
            return requests.submit(db, Ask(target=target, **chosen)).request

    def request(self, request_id: UUID) -> ForgetRequest:
        """As it stands now."""
        with self.store.read() as db:
            return db.get_one(ForgetRequest, request_id)

    def version(self, number: int) -> Version:
        """As it stands now."""
        with self.store.read() as db:
            return db.get_one(Version, (self.model_id, number))

    def claim(self, job_id: UUID | None, worker: str | None = None) -> Claim | None:
        """What a worker does with a ring."""
        assert job_id is not None
        with self.store.begin() as db:
            return jobs.claim(db, job_id, worker or self.worker, "cpu", self.store.settings)

    def begin(self, job_id: UUID | None) -> tuple[Claim, Rung]:
        """Claim a forget job that must be there, and decide what it does."""
        claim = self.claim(job_id)
        assert claim is not None
        with self.store.begin() as db:
            rung = rungs.begin(db, claim)
        assert rung is not None
        return claim, rung

    def paused(self, job_id: UUID | None) -> str:
        """Claim a job and hand it back with a checkpoint; the digest of that."""
        claim = self.claim(job_id)
        assert claim is not None
        digest = self.store.blobs.put(f"state of {job_id}".encode()).digest
        with self.store.begin() as db:
            jobs.save_checkpoint(db, claim, {"digest": digest, "run": "-"})
            jobs.give_back(db, claim, "makes way")
        return digest

    def publish(self, claim: Claim, rung: Rung, verdict: str = "pass", **facts: float) -> Version:
        """Publish what a job might have made, and measured."""
        made = replace(self.made(rung.number, verdict), facts=facts)
        with self.store.begin() as db:
            return outcomes.publish_rung(db, claim, rung, made)

    def serve_request(self, request: ForgetRequest, verdict: str = "pass") -> Version:
        """Carry out the request's job with the given verdict."""
        claim, rung = self.begin(self.request(request.id).job_id)
        return self.publish(claim, rung, verdict)

    def judge(self, request: ForgetRequest, verdict: str) -> Version:
        """Carry out the audit that the request waits for, with the given verdict."""
        claim = self.claim(self.request(request.id).job_id)
        assert claim is not None
        with self.store.begin() as db:
            review = reviews.begin(db, claim)
            return reviews.publish(db, claim, review, report(verdict, review.tier))

    def made(self, number: int, verdict: str = "pass") -> Made:
        """Weights out of thin air, with a report of one test."""
        kept = self.store.blobs.put(f"weights {number} {verdict}".encode())
        return Made(
            number=number,
            weights=Blob(digest=kept.digest, size=kept.size, media_type="weights"),
            scores=None,
            params={},
            provenance={},
            report=report(verdict),
        )


def report(verdict: str = "pass", tier: int = 0) -> Report:
    """A report of one test."""
    test = dict.fromkeys(audits.COLUMNS) | {"test": "accuracy.d_f", "n": 8, "estimate": 0.5}
    return Report(
        tier=tier, verdict=verdict, assurance=f"tier{tier}", document={"verdict": verdict},
        tests=[test],
    )  # fmt: skip


def furnish(store: Store) -> World:
    """A ready dataset `animals`, a model `zoo` and its version 1, served."""
    schema = {"type": "object", "additionalProperties": False, "properties": {"epochs": {"type": "integer", "minimum": 1}}}  # fmt: skip
    for_classes = {"designed_for": ["class"]}
    methods = (
        ("boundary_expanding", for_classes),
        ("boundary_shrink", for_classes),
        ("l1_sparse", {}),
    )
    with store.begin() as db:
        offers.advertise(
            db,
            [
                Ability("net", "small_cnn", "A net.", schema, {}),
                *(Ability("method", name, "A method.", schema, traits) for name, traits in methods),
                Ability("method", "retrain", "Exact.", schema, {"exact": True, "needs": ["recipe"]}),
            ],
        )  # fmt: skip
        dataset, job = datasets.register(db, name="animals", source={"path": "x"}, actor="me")
    with store.begin() as db:
        claim = jobs.claim(db, job.id, "worker-1", "cpu", store.settings)
        assert claim is not None
        kept = Blob(digest="a" * 64, size=1, media_type="shard")
        datasets.add_shard(db, dataset.id, 0, kept, rows())
        datasets.complete(
            db, dataset.id, fingerprint="f" * 64, class_names=list(CLASSES), shape=[8, 8, 1]
        )
        jobs.finish(db, claim, {})
        model = registry.register(db, new_model("zoo"), "me")
    add_version(store, model.id)
    return World(store, dataset.id, model.id)


def new_model(name: str) -> NewModel:
    """A model on the dataset `animals`."""
    return NewModel(
        name=name, architecture="small_cnn", parameters={}, dataset="animals",
        mean=[0.5], std=[0.5], policy={},
    )  # fmt: skip


def add_version(store: Store, model_id: UUID, **columns: Any) -> int:
    """Serve a version that was trained on the train split, with its recipe."""
    with store.begin() as db:
        model = registry.locked(db, model_id)
        kept = store.blobs.put(f"first weights {model.next_version}".encode())
        blob = Blob(digest=kept.digest, size=kept.size, media_type="weights")
        version = shelf.add(
            db, model, shelf.reserve(model, {}), kept=blob, method="import",
            state=VersionState.CHECKING,
            **({"parent": None, "trained_on": {"splits": ["train"]}, "recipe": RECIPE,
                "assured": True} | columns),
        )  # fmt: skip
        shelf.serve(db, version, VersionState.ACTIVE)
        return version.number


def rows() -> list[SampleRow]:
    """Forty samples; each person owns two of each class's train images."""
    found = []
    for label, name in enumerate(CLASSES):
        for i in range(PER_CLASS):
            split = "train" if i < TRAIN else "test"
            position = label * PER_CLASS + i
            person = f"person-{i // 2}"
            found.append(SampleRow(f"{split}/{name}/{i:02d}", position, label, split, person))
    return found


def samples(*names: str) -> Target:
    """A target of samples."""
    return Target("samples", names=names)


def ready_dataset(store: Store) -> Dataset:
    """The dataset `animals`."""
    with store.read() as db:
        return datasets.get_ready(db, "animals")


def add_half(world: World, draw: int) -> None:
    """A half that has seen nothing, by a job that is claimed for it."""
    with world.store.begin() as db:
        job = pools.order(db, registry.get(db, "zoo"), 8, [], "me")
    claim = world.claim(job.id)
    assert claim is not None
    with world.store.begin() as db:
        scores = Blob(digest=f"{draw:064x}", size=1, media_type="margins")
        built = Built(kind=MemberKind.HALF, label=None, draw=draw, seed=1, trained=bytes(5),
                      scores=scores, weights=None, provenance={})  # fmt: skip
        pools.add(db, claim, pools.begin(db, claim), built)
        jobs.finish(db, claim, {})
