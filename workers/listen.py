"""The Celery worker: rings come over Redis, the work is done in one spawned child.

The worker's parent imports this module and must stay free of torch and CUDA; the child imports
the workshop when it starts (`warm_up`).
"""

import importlib
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from time import monotonic, sleep
from types import ModuleType
from typing import Any

from billiard import active_children
from celery import bootsteps, shared_task, signals
from celery.worker import WorkController

from models_store import crew, desk
from models_store.bell import CARRY_OUT, listener
from models_store.errors import Unavailable
from models_store.life import Queue
from models_store.settings import Settings
from models_store.store import Store

log = logging.getLogger("lethe.worker")

NAME, QUEUES, READY = "LETHE_WORKER_NAME", "LETHE_WORKER_QUEUES", "LETHE_WORKER_READY"
WARM_UP_LIMIT = 300.0
"""Seconds."""

_child: dict[str, Any] = {}
"""Of the child: its bench, its queues, and the modules that it imported at its start."""


def serve(settings: Settings, name: str, queues: Sequence[Queue]) -> None:
    """Take rings until this process is asked to stop."""
    assert settings.broker_url is not None
    os.environ[NAME], os.environ[QUEUES] = name, ",".join(queues)
    os.environ[READY] = str(Path(mkdtemp(prefix="lethe-worker-")) / "ready")
    app = listener(settings.broker_url)
    app.conf.include = [__name__]  # the child registers the task below by importing it
    app.conf.task_time_limit = settings.job_time_limit.total_seconds()
    app.steps["worker"].add(WaitUntilWarm)
    watch = Thread(target=_watch, args=(settings, name, queues), name="watch", daemon=True)
    watch.start()
    options = ["--queues", os.environ[QUEUES], "--hostname", name, "--loglevel", "INFO"]
    app.worker_main(["worker", *options, "--without-gossip", "--without-mingle"])


def _watch(settings: Settings, name: str, queues: Sequence[Queue]) -> None:
    """End this process when it hears no rings any more, as brokers' clients have been seen to do."""
    store, deaf_since = Store.open(settings), None
    while True:
        sleep(settings.beat_every.total_seconds())
        try:
            with store.read() as db:
                warm = Path(os.environ[READY]).exists()
                deaf = warm and desk.passed_over(db, name, queues)
        except Unavailable:
            deaf = False
        deaf_since = (deaf_since or monotonic()) if deaf else None
        if deaf_since and monotonic() - deaf_since > settings.deaf_after.total_seconds():
            log.critical("jobs wait and no ring is heard: this worker ends, to be started anew")
            os._exit(os.EX_UNAVAILABLE)  # a graceful stop would need the ear that is deaf


class WaitUntilWarm(bootsteps.StartStopStep):
    """Take no message before the child is warm; Celery itself would not wait."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: WorkController) -> None:  # noqa: ARG002 - Celery's own signature
        """Wait for the child's sign. Raises `TimeoutError` when it does not come."""
        deadline = monotonic() + WARM_UP_LIMIT
        while not Path(os.environ[READY]).exists():
            if monotonic() > deadline:
                raise TimeoutError(f"The worker was not warm after {WARM_UP_LIMIT:.0f} s.")
            sleep(0.05)


@signals.worker_process_init.connect
def warm_up(**_: object) -> None:
    """In the child: import the workshop, sign in, get everything ready."""
    signal.signal(signal.SIGTERM, _give_back)
    workshop = importlib.import_module("workers.tasks")
    settings = Settings()
    queues = [Queue(queue) for queue in os.environ[QUEUES].split(",")]
    warmup = importlib.import_module("workers.warmup")
    _child["bench"] = warmup.ready(Store.open(settings), os.environ[NAME], queues)
    _child["tasks"], _child["queues"] = workshop, queues
    Path(os.environ[READY]).touch()


@shared_task(name=CARRY_OUT)
def carry_out() -> None:
    """One ring: a job waits, and the most urgent one is carried out, whichever was rung for.

    Each waiting job has a ring, so none is left; but one that was lost and is rung for again does
    not stand behind all rings that are older.
    """
    tasks: ModuleType = _child["tasks"]
    tasks.take(_child["bench"], _child["queues"])


def _give_back(number: int, frame: object) -> None:
    del number, frame
    importlib.import_module("workers.pulse").STOPPING.set()


@signals.worker_shutting_down.connect
def tell_children(**_: object) -> None:
    """In the parent: the child hands its job back at the next checkpoint, and then we stop."""
    for child in active_children():
        if child.pid is not None:
            os.kill(child.pid, signal.SIGTERM)


@signals.worker_shutdown.connect
def sign_out(**_: object) -> None:
    """In the parent: this worker takes no more work."""
    store = Store.open(Settings())
    with suppress(Unavailable), store.begin() as db:
        crew.sign_out(db, os.environ[NAME])
    store.close()
    rmtree(Path(os.environ[READY]).parent, ignore_errors=True)
