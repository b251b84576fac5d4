"""The relay: one thread of each API process rings for jobs; the leader's also reaps and tends."""

import logging
import secrets
import socket
import threading
from math import inf
from time import monotonic

from models_store import crew, desk, retention, upkeep
from models_store.errors import Unavailable
from models_store.failpoints import failpoint
from models_store.store import Store

log = logging.getLogger("lethe.relay")

CALM = 0.05
"""Seconds between two rounds, at least: the first call is rung for at once, those behind it together."""


class Relay:
    """Rings at once when woken; while it leads, also for jobs that others left unrung or lost."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._reaped_at = -store.settings.reap_every.total_seconds()
        self._rounded_at = self._stood_at = -inf
        self._leads = False
        self._trouble = ""
        self._thread = threading.Thread(target=self._work, name="relay", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End, and let another process lead at once."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=10)
        try:
            with self._store.begin() as db:
                crew.step_down(db, self._name)
        except Unavailable:
            log.warning("the database is away; another relay leads when our lease has run out")

    def wake(self) -> None:
        """A job was committed: ring soon. Returns at once, and never fails."""
        self._woken.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            woken = self._woken.wait(self._store.settings.relay_every.total_seconds())
            if woken and (pause := self._rounded_at + CALM - monotonic()) > 0:
                self._stopping.wait(pause)  # so that many calls at once are one round
            self._woken.clear()
            self._rounded_at = monotonic()
            try:
                self._note(self.round(woken=woken))
            except Unavailable as away:
                self._note(str(away))
            except Exception:  # whatever it was, requests that were accepted still need us
                log.exception("the relay stumbled and goes on")

    def round(self, *, woken: bool = False) -> str:
        """Do what is due now; what went wrong, if anything did. Raises `Unavailable`."""
        settings = self._store.settings
        if not woken or monotonic() - self._stood_at >= settings.relay_every.total_seconds():
            with self._store.begin() as db:
                self._leads = crew.lead(db, self._name, settings)
            self._stood_at = monotonic()
        if self._leads and monotonic() - self._reaped_at >= settings.reap_every.total_seconds():
            self._reap()
            self._tend()
            self._reaped_at = monotonic()
        return self._ring() if self._leads or woken else ""

    def _ring(self) -> str:
        if self._store.settings.broker_url is None:
            return ""  # workers look for themselves
        with self._store.begin() as db:
            queued = desk.unrung(db, self._store.settings)
        if queued:
            failpoint("relay.before_ring")
        for rung, job in enumerate(queued):
            if self._store.bell.ring(job.id, job.attempt, job.queue):
                continue
            with self._store.begin() as db:
                for unheard in queued[rung:]:
                    desk.not_rung(db, unheard.id)
            return "the broker takes no messages; jobs stay queued and are rung again"
        return ""

    def _reap(self) -> None:
        with self._store.read() as db:
            lost = desk.lost(db)
        for job_id in lost:
            with self._store.begin() as db:
                reaped = desk.reap(db, job_id, self._store.settings)
                left = desk.leftovers(db, job_id) if reaped else []
            if reaped:
                log.warning("job %s was lost by its worker and reaped", job_id)
            for digest in left:
                self._store.blobs.drop(digest)

    def _tend(self) -> None:
        """Withdraw what is past its grace, order it to be erased, and worn pools to be rebuilt."""
        with self._store.read() as db:
            models = retention.models_to_tend(db)
        for model_id in models:
            with self._store.begin() as db:
                retention.tend(db, model_id)
        with self._store.read() as db:
            worn = upkeep.worn(db)
        for model_id in worn:
            with self._store.begin() as db:
                upkeep.rebuild(db, model_id)

    def _note(self, trouble: str) -> None:
        """Say each trouble once, and once that it is over."""
        if trouble and trouble != self._trouble:
            log.warning("%s", trouble)
        elif self._trouble and not trouble:
            log.info("the relay works again")
        self._trouble = trouble
