"""Places where the chaos tests make things go wrong; in production they do nothing.

`LETHE_FAILPOINTS="worker.step=kill#3,submit.after_commit=exit"`: at the third step the process kills
itself, and after a submission has been committed it exits at once. `LETHE_FAILPOINTS=@<file>` reads
the same from a file that may come and change while processes run; whoever comes by first removes
it, so that one process acts, and once.
"""

import ctypes
import errno
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import sleep

from models_store.errors import Unavailable

PLAN = os.environ.get("LETHE_FAILPOINTS", "")
ERRORS: dict[str, Exception] = {
    "raise": RuntimeError("Something broke (failpoint)."),
    "enospc": OSError(errno.ENOSPC, "No space left on device (failpoint)"),
    "oom": MemoryError("Out of memory (failpoint)"),
    "away": Unavailable("The database does not answer (failpoint)."),
}
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Do here what the environment says, if it says anything.

    Actions: `kill`, `stop` (freeze this process), `hang` (in native code), `exit`, `hold:<file>`
    (wait here until the file is gone), `balloon:<MiB>` (ask for that much memory), `raise`, `enospc`, `oom`, `away` (as if the database's
    answer were lost); with `#n` only the n-th time that this process comes by.
    """
    if not PLAN:
        return
    planned = _planned()
    if name not in planned:
        return
    action, _, turn = planned[name].partition("#")
    _passed[name] += 1
    if (not turn or _passed[name] == int(turn)) and _is_ours():
        _act(action)


def _planned() -> dict[str, str]:
    plan = PLAN
    if plan.startswith("@"):
        try:
            plan = Path(plan[1:]).read_text()
        except FileNotFoundError:
            _passed.clear()
            return {}
    return dict(part.split("=", 1) for part in plan.split(",") if part)


def _is_ours() -> bool:
    """Of all processes that share a file, one removes it."""
    if not PLAN.startswith("@"):
        return True
    try:
        Path(PLAN[1:]).unlink()
    except FileNotFoundError:
        return False
    return True


def _act(action: str) -> None:
    verb, _, argument = action.partition(":")
    if verb in ERRORS:
        raise ERRORS[verb]
    if verb not in ACTIONS:
        raise RuntimeError(f"There is no failpoint action {action!r}.")
    ACTIONS[verb](argument)


def _hang(_: str) -> None:
    lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock)
    libc.pthread_mutex_lock(lock)  # no signal ends this wait


def _hold(file: str) -> None:
    while Path(file).exists():
        sleep(0.02)


ACTIONS: dict[str, Callable[[str], object]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda _: os._exit(137),
    "hang": _hang,
    "hold": _hold,
    "balloon": lambda mebibytes: bytearray(int(mebibytes) << 20),
}
