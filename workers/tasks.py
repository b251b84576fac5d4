"""What a worker does with a ring: claim a job, carry it out, say how it ended."""

import errno
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import sleep
from uuid import UUID

import torch

from models_store import desk, jobs, outcomes, versions
from models_store.claims import Claim
from models_store.errors import (
    DigestMismatch,
    LostClaim,
    NameTaken,
    ObjectsAway,
    StorageFull,
    Unavailable,
)
from models_store.failpoints import failpoint
from models_store.life import JobKind, Queue
from workers import (
    baseline,
    certifying,
    erasing,
    forgetting,
    importing,
    memory,
    pooling,
    searching,
)
from workers.bench import Bench, describe
from workers.data.records import BadRow
from workers.pulse import Pulse, Stopped, Why
from workers.weights import UnfitWeights

log = logging.getLogger("lethe.worker")

Work = Callable[[Bench, Claim, Pulse], None]
WORK: dict[JobKind, Work] = {
    JobKind.IMPORT: lambda bench, claim, pulse: importing.run(bench.store, claim, pulse),
    JobKind.CHECK: baseline.check,
    JobKind.TRAIN: baseline.train,
    JobKind.FORGET: forgetting.run,
    JobKind.AUDIT: forgetting.review,
    JobKind.POOL: pooling.run,
    JobKind.TUNE: searching.run,
    JobKind.CERTIFY: certifying.run,
    JobKind.ERASE: lambda bench, claim, pulse: erasing.run(bench.store, claim, pulse),
}

OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_MEMORY = "DefaultCPUAllocator: can't allocate memory"
"""How torch says it on a CPU."""

KINDS: tuple[tuple[tuple[type[Exception], ...], tuple[str, bool]], ...] = (
    ((BadRow,), ("bad_row", False)),
    ((NameTaken,), ("name_taken", False)),
    ((UnfitWeights,), ("unfit_weights", False)),
    ((DigestMismatch,), ("artifact_corrupt", False)),
    ((StorageFull,), ("storage_full", True)),
    ((ObjectsAway,), ("object_store_away", True)),
    ((torch.OutOfMemoryError, MemoryError), ("out_of_memory", True)),
    ((ValueError, FileNotFoundError), ("unusable_input", False)),
)
"""The failures that have a name, and whether trying again may help; anything else is `internal`."""


def take(bench: Bench, queues: Sequence[Queue]) -> bool:
    """Carry out the most urgent job of these queues; False if there was none to take.

    Raises:
        Unavailable: the database is away.
    """
    store = bench.store
    if not store.blobs.usable():
        log.error("%s cannot be written to: jobs stay queued until it can", store.blobs.folder)
        sleep(1.0)  # it may be back soon, and need not be said more often
        return False
    with store.read() as db:
        waiting = desk.waiting(db, queues)
    return any(carry_out(bench, job_id) for job_id in waiting)  # another may be quicker


def carry_out(bench: Bench, job_id: UUID) -> bool:
    """Claim a job and carry it out; False if it was not there to take.

    Whatever goes wrong is written down with the job; only a database that is away is not, and then
    the lease runs out.
    """
    store = bench.store
    with store.begin() as db:
        claim = jobs.claim(db, job_id, bench.name, describe(bench.device), store.settings)
    if claim is None:
        return False
    log.info("%s job %s, attempt %d", claim.kind, claim.job_id, claim.attempt)
    try:
        with Pulse(store, claim) as pulse:
            failpoint("worker.claimed")
            WORK[claim.kind](bench, claim, pulse)
    except Stopped as stopped:
        _stop(bench, claim, stopped.why)
    except (LostClaim, Unavailable) as gone:
        log.warning("job %s left to another attempt: %s", claim.job_id, gone)
    except Exception as error:
        log.exception("job %s, attempt %d failed", claim.job_id, claim.attempt)
        _fail(bench, claim, error)
    except BaseException:  # the process is being stopped hard: hand the job back, if time allows
        _stop(bench, claim, Why.GIVE_WAY)
        raise
    _tidy(bench, claim)
    memory.let_go()
    return True


def _tidy(bench: Bench, claim: Claim) -> None:
    with suppress(Unavailable):
        with bench.store.begin() as db:
            left = desk.leftovers(db, claim.job_id)
        for digest in left:
            bench.store.blobs.drop(digest)


def _stop(bench: Bench, claim: Claim, why: Why) -> None:
    if why is Why.LOST:
        log.warning("job %s left to another attempt", claim.job_id)
        return
    try:
        with bench.store.begin() as db:
            if why is Why.CANCELLED:
                outcomes.was_cancelled(db, claim)
            else:
                jobs.give_back(db, claim, "the worker makes way or stops")
    except (LostClaim, Unavailable) as gone:
        log.warning("job %s left to another attempt: %s", claim.job_id, gone)


def _fail(bench: Bench, claim: Claim, error: Exception) -> None:
    why = failure(error)
    if why["code"] == "out_of_memory":
        bench.make_room()
    try:
        with bench.store.begin() as db:
            if isinstance(error, DigestMismatch) and claim.model_id is not None:
                damaged, blobs = error.facts["digest"], bench.store.blobs
                # With another version to start from, another attempt may do better.
                why["retryable"] = bool(versions.set_aside(db, claim.model_id, damaged, blobs))
            outcomes.broke_down(db, claim, why, bench.store.settings.max_attempts)
    except (LostClaim, Unavailable) as gone:
        log.warning("job %s left to another attempt: %s", claim.job_id, gone)


def failure(error: Exception) -> dict[str, object]:
    """What went wrong, as the job tells it: a code, a sentence, and whether trying again helps."""
    code, retryable = _kind(error)
    detail = str(error) if code != "internal" else f"{type(error).__name__}: {error}"
    return {"code": code, "detail": detail[:2000], "retryable": retryable}


def _kind(error: Exception) -> tuple[str, bool]:
    if isinstance(error, OSError) and error.errno in OUT_OF_ROOM:
        return "storage_full", True
    if isinstance(error, RuntimeError) and NO_MEMORY in str(error):
        return "out_of_memory", True
    return next((kind for types, kind in KINDS if isinstance(error, types)), ("internal", True))
