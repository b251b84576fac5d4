"""The pulse of a job: a thread renews the lease, and learns whether the work is still wanted."""

from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Any, Self

import psutil

from models_store import crew, jobs
from models_store.claims import Claim, Signal
from models_store.errors import LostClaim, Unavailable
from models_store.life import Phase
from models_store.store import Store
from workers.kinds import Step


class Stopped(Exception):
    """The work must stop at the next step; `why` says what happens to the job."""

    def __init__(self, why: "Why") -> None:
        super().__init__(why)
        self.why = why


class Why(StrEnum):
    """Why the work stops."""

    CANCELLED = "cancelled"
    LOST = "lost"
    GIVE_WAY = "give_way"


STOPPING = Event()
"""Set when this process has been asked to stop: jobs are given back at their next checkpoint."""


@dataclass(slots=True)
class Pulse:
    """Use as a context around the work; call `feel` at every step."""

    store: Store
    claim: Claim
    phase: Phase = Phase.PREPARING
    progress: dict[str, Any] = field(default_factory=dict)
    peak_memory: int = 0
    """Most resident memory of this process seen at a beat, bytes."""
    _signal: Why | None = None
    _give_way_since: float | None = None
    _over: bool = False
    _wake: Event = field(default_factory=Event)
    _thread: Thread | None = None
    _began: float = 0.0
    _renewed: float = 0.0

    def __enter__(self) -> Self:
        self._renewed = monotonic()
        self._thread = Thread(target=self._beat_on, name="pulse", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._wake.set()
        assert self._thread is not None
        self._thread.join()

    def enter(self, phase: Phase, total: int = 0, expected: float | None = None) -> None:
        """A new phase begins, and whoever looks learns it at once.

        `expected`: seconds that it should take, for as long as its own pace is not known.
        Raises `Stopped` if the work is no longer wanted.
        """
        self.phase, self._began = phase, monotonic()
        self.progress = {"done": 0, "total": total, "eta_seconds": expected}
        self._wake.set()
        self.feel()

    def step(self, step: Step) -> None:
        """Note how far a loop has come; raises `Stopped` unless only asked to give way."""
        self.progress = {
            "done": step.done,
            "total": step.total,
            "epoch": step.epoch,
            "epochs": step.epochs,
            "eta_seconds": self._eta(step.done, step.total),
        }
        self.feel()

    def count(self, done: int, total: int) -> None:
        """Note how far something that is no loop of steps has come."""
        self.progress = {
            "done": done,
            "total": total,
            "eta_seconds": self._eta(done, total),
        }
        self.feel()

    def feel(self) -> None:
        """Raise `Stopped` if the job was cancelled or its lease lost."""
        if self._signal in (Why.CANCELLED, Why.LOST):
            raise Stopped(self._signal)
        if self.should_give_way and self._waited_long_enough():
            raise Stopped(Why.GIVE_WAY)

    @property
    def should_give_way(self) -> bool:
        """Somebody more urgent waits, or this process must stop: leave at the next checkpoint."""
        return self._signal is Why.GIVE_WAY or STOPPING.is_set()

    def _waited_long_enough(self) -> bool:
        """A process that must stop does not wait for a checkpoint for ever."""
        if not STOPPING.is_set():
            return False
        if self._give_way_since is None:
            self._give_way_since = monotonic()
        grace = self.store.settings.checkpoint_grace.total_seconds()
        return monotonic() - self._give_way_since > grace

    def _eta(self, done: int, total: int) -> float | None:
        if not done or total < done:
            return None
        return round((monotonic() - self._began) * (total - done) / done, 1)

    def _beat_on(self) -> None:
        me, period = psutil.Process(), self.store.settings.beat_every.total_seconds()
        while not self._over:
            self._wake.wait(period)
            self._wake.clear()
            if self._over:
                return
            self.peak_memory = max(self.peak_memory, me.memory_info().rss)
            try:
                self._signal = self._beat()
            except LostClaim:
                self._signal = Why.LOST
            except Unavailable:
                # Work on while the lease may still be ours; without a database none can publish.
                if monotonic() - self._renewed > self.store.settings.lease.total_seconds():
                    self._signal = Why.LOST
            if self._signal in (Why.LOST, Why.CANCELLED):
                return

    def _beat(self) -> Why | None:
        settings = self.store.settings
        with self.store.begin() as db:
            heard = jobs.beat(db, self.claim, settings, self.phase, self.progress)
        self._renewed = monotonic()
        heard_why = {Signal.CANCEL: Why.CANCELLED, Signal.GIVE_WAY: Why.GIVE_WAY}
        return heard_why.get(heard)


def keep_signing(store: Store, name: str) -> None:
    """Start the thread by which a worker shows that it is alive, with a job or without."""

    def sign_on() -> None:
        while not STOPPING.wait(store.settings.beat_every.total_seconds()):
            with suppress(Unavailable), store.begin() as db:
                crew.feel(db, name)

    Thread(target=sign_on, name="sign", daemon=True).start()
