"""`python -m workers`: one worker process; with a broker it listens, without one it polls."""

import argparse
import importlib
import logging
import os
import secrets
import socket
from time import sleep

from models_store.errors import Unavailable
from models_store.life import Queue
from models_store.settings import Settings
from models_store.store import SCHEMA, Store, schema
from workers import memory


def main() -> None:
    """Read the command line and the environment, and work."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--queues", default=",".join(Queue), help="comma-separated; default all")
    parser.add_argument("--name", default=None, help="unique; default host, pid and a random part")
    options = parser.parse_args()
    try:
        queues = [Queue(queue.strip()) for queue in options.queues.split(",")]
    except ValueError as error:
        parser.error(f"{error}; the queues are {', '.join(Queue)}")
    name = options.name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    memory.keep()  # the processes that a Celery parent starts inherit what is for torch
    settings = Settings()
    # Either way of working is imported only when it is chosen: the Celery parent must not
    # import torch, and the embedded worker needs no Celery worker.
    store = Store.open(settings)
    wait_for_tables(store)
    if settings.broker_url is not None:
        importlib.import_module("workers.listen").serve(settings, name, queues)
    else:
        importlib.import_module("workers.poll").work(store, name, queues)


def wait_for_tables(store: Store) -> None:
    """Return once the database answers. Raises `SystemExit` if its tables are not ours."""
    while True:
        try:
            found = schema(store)
        except Unavailable as away:
            logging.getLogger("lethe.worker").warning("%s", away)
            sleep(1.0)
            continue
        if found == SCHEMA:
            return
        raise SystemExit(
            f"lethe: the database is at migration {found}, and this code needs {SCHEMA}: "
            "run `lethe migrate`."
        )


if __name__ == "__main__":
    main()
