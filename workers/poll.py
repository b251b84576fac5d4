"""The embedded worker: no broker, it looks at the jobs table and takes what waits."""

import faulthandler
import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from time import sleep
from types import FrameType

from models_store import crew
from models_store.errors import Unavailable
from models_store.life import Queue
from models_store.store import Store
from workers import warmup
from workers.bench import Bench
from workers.pulse import STOPPING
from workers.tasks import take

log = logging.getLogger("lethe.worker")


def work(store: Store, name: str, queues: Sequence[Queue]) -> None:
    """Take jobs until this process is asked to stop; then finish or hand back the one at hand."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    bench = warmup.ready(store, name, queues)
    limit = store.settings.job_time_limit.total_seconds()
    while not STOPPING.is_set():
        # Kills this process even when it hangs in native code; the supervisor starts another.
        faulthandler.dump_traceback_later(limit, exit=True)
        took = _take(bench, queues)
        faulthandler.cancel_dump_traceback_later()
        if not took:
            sleep(min(0.2, store.settings.relay_every.total_seconds()))
    with suppress(Unavailable), store.begin() as db:
        crew.sign_out(db, name)


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    STOPPING.set()


def _take(bench: Bench, queues: Sequence[Queue]) -> bool:
    try:
        return take(bench, queues)
    except Unavailable as away:
        log.warning("%s", away)
        return False
