"""A furnished house to break, with many models of the same weights: each test takes a fresh one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import invariants
import psutil
from house import PATIENCE, House, Room, surroundings, wait
from services import free_port
from sqlalchemy import update

from models_store import datasets, desk, requests
from models_store.life import JobStatus
from models_store.requests import Ask
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import ForgetRequest, Job, Version
from models_store.targets import Target

USUAL, SPECIAL = "fast,exact", "quality"
"""Queues of the workers of a scene, and of one that a test starts to harm. Nobody erases."""
RETRAIN = {"method": "retrain"}


@dataclass
class Scene:
    """A house with its store in view; requests go to fresh models and samples by themselves."""

    house: House
    store: Store
    mode: str
    _fresh: Iterator[int] = field(default_factory=lambda: count(0))

    def fresh(self) -> int:
        """The number of a model, and of samples, that no test has named yet."""
        return next(self._fresh)

    @property
    def dataset_id(self) -> UUID:
        """Of the digits."""
        with self.store.read() as db:
            return datasets.get_ready(db, "digits").id

    def target(self, block: int) -> dict[str, Any]:
        """Three training samples that no other block names.

        Few, since what is forgotten leaves the retain set of all models: enough must remain to
        train on when every block is gone.
        """
        ids = [f"digit-{i:04d}" for i in range(12 * block + 1, 12 * block + 4)]
        return {"kind": "samples", "sample_ids": ids}

    def body(self, **more: Any) -> dict[str, Any]:
        """A request that nobody has made yet, to be met by retraining."""
        block = self.fresh()
        return {"model": f"digits-{block}", "target": self.target(block)} | RETRAIN | more

    def ask(self, **more: Any) -> UUID:
        """File a request that must be accepted."""
        return UUID(self.house.post("/forget-requests", 202, json=self.body(**more))["id"])

    def submit(self, block: int, seed: int) -> UUID:
        """The same request without a door, for a job of this seed."""
        body = self.target(block)
        target = Target("samples", names=tuple(body["sample_ids"]))
        ask = Ask(owner="test", key=None, body_digest="-", model=f"digits-{block}", target=target,
                  lane=None, **RETRAIN)  # fmt: skip
        with self.store.begin() as db:
            request = requests.submit(db, ask).request
            db.execute(update(Job).where(Job.id == request.job_id).values(seed=seed))
        return request.id

    def request(self, request_id: UUID) -> ForgetRequest:
        """The row as it stands."""
        with self.store.read() as db:
            return db.get_one(ForgetRequest, request_id)

    def job(self, request_id: UUID) -> Job:
        """Its job's row as it stands."""
        with self.store.read() as db:
            found = db.get_one(ForgetRequest, request_id)
            return db.get_one(Job, found.job_id)

    def outcomes(self, request_id: UUID) -> list[str | None]:
        """How each attempt at its job ended."""
        with self.store.read() as db:
            return [attempt.outcome for attempt in desk.attempts(db, self.job(request_id).id)]

    def version(self, request_id: UUID) -> Version:
        """What the request's job has published."""
        request = self.request(request_id)
        with self.store.read() as db:
            return db.get_one(Version, (request.model_id, request.version))

    def wait(self, until: Callable[[], bool], within: float = PATIENCE) -> None:
        """Until it is so; the logs of all rooms if it never is."""
        wait(until, within, lambda: "\n".join(room.said[-3000:] for room in self.house.rooms))

    def ended(self, request_id: UUID, within: float = PATIENCE) -> ForgetRequest:
        """The request, once its job has ended."""
        ended = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
        self.wait(lambda: self.job(request_id).status in ended, within)
        return self.request(request_id)

    def met(self, request_id: UUID) -> bool:
        """Has its job published, once it has ended? What the audit of so small a net says is chance."""
        self.ended(request_id)
        return self.job(request_id).status is JobStatus.SUCCEEDED

    def arm(self, **failpoints: str) -> None:
        """The first process that comes by acts; `worker_step="kill#2"` arms `worker.step`."""
        armed = [
            f"{at.replace('__', '-').replace('_', '.').replace('-', '_')}={what}"
            for at, what in failpoints.items()
        ]
        self._plan.write_text(",".join(armed))

    def hold(self, at: str) -> None:
        """The first process that comes by waits there until `release`."""
        self._held.touch()
        self.arm(**{at: f"hold:{self._held}"})

    def release(self) -> None:
        """Let a held process go on."""
        self._held.unlink()

    @property
    def _held(self) -> Path:
        return self.house.folder / "held"

    @property
    def _plan(self) -> Path:
        return self.house.folder / "failpoints"

    @property
    def went_off(self) -> bool:
        """Has a process come by the armed failpoint?"""
        return not self._plan.exists()

    def workers(self, least: int) -> list[Room]:
        """At least so many workers that live and are warm; those that died are replaced."""
        rooms: list[Room] = []

        def warm() -> bool:
            rooms[:] = self._alive()
            missing = range(least - len(rooms))
            rooms.extend(self.house.open_worker(queues=USUAL, warm=False) for _ in missing)
            return {_name(room) for room in rooms} <= set(self.house.workers())

        self.wait(warm)
        return rooms

    def attended(self, queues: str, until: Callable[[], bool], **environment: str) -> None:
        """Wait until it is so, with a worker of its own that is started again when it dies."""
        rooms = [self.house.open_worker(queues=queues, warm=False, **environment)]

        def look() -> bool:
            if rooms[-1].process.poll() is not None:
                rooms.append(self.house.open_worker(queues=queues, warm=False, **environment))
            return until()

        self.wait(look)
        rooms[-1].kill()

    def reopen(self) -> None:
        """An API that has ended, or is about to, is started again on its port."""
        for room in [room for room in self.house.rooms if room.log.name.startswith("api")]:
            room.process.wait(PATIENCE)
            self.house.rooms.remove(room)
        self.house.open_api()

    def _alive(self) -> list[Room]:
        return [
            room
            for room in self.house.rooms
            if room.log.name.startswith("worker") and room.process.poll() is None
        ]

    def holder(self, request_id: UUID) -> Room:
        """The worker that holds the request's job, once one does."""
        owners: list[str | None] = []

        def held() -> bool:
            owners.append(self.job(request_id).lease_owner)
            return owners[-1] is not None

        self.wait(held)
        return next(room for room in self._alive() if _name(room) == owners[-1])

    def frozen(self) -> psutil.Process:
        """The process of a worker that a failpoint has stopped, once it has."""
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [one for room in self._alive() for one in _family(room) if _stopped(one)]
            return bool(found)

        self.wait(look)
        return found[0]

    def check(self) -> None:
        """The three invariants."""
        invariants.hold(self.store)


def _name(room: Room) -> str:
    return room.log.stem


def _family(room: Room) -> list[psutil.Process]:
    try:
        me = psutil.Process(room.process.pid)
        return [me, *me.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def staged(folder: Path, mode: str, **environment: str) -> Iterator[Scene]:
    """A house whose home folder is furnished already; whatever was started is killed at the end."""
    mine = {"LETHE_FAILPOINTS": f"@{folder / 'failpoints'}", "LETHE_CHECKPOINT_GRACE": "PT20S"}
    house = House(folder, surroundings(folder) | mine | environment, free_port())
    store = Store.open(settings_of(house.environment))
    try:
        yield Scene(house, store, mode)
    finally:
        house.close()
        store.close()


def settings_of(environment: dict[str, str]) -> Settings:
    """What a process in this environment would read."""
    names = {f"LETHE_{name.upper()}": name for name in Settings.model_fields}
    chosen = {names[key]: value for key, value in environment.items() if key in names}
    return Settings.model_validate(chosen)
