"""Where a run can be resumed: its state as a blob, tied to everything that decides the run."""

import hashlib
import json
from typing import Any

import rfc8785
from safetensors.torch import load as read
from safetensors.torch import save
from torch import Tensor

from models_store import jobs
from models_store.claims import Claim
from models_store.errors import NotFound
from models_store.store import Store
from workers.kinds import State


def identity(**facts: Any) -> str:
    """A digest of all that decides a run; a checkpoint of another run is not resumed."""
    return hashlib.sha256(rfc8785.dumps(facts)).hexdigest()


def rows_digest(rows: Tensor) -> str:
    """A digest of row numbers, (n,) int64 on the CPU."""
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()


def keep(store: Store, claim: Claim, run: str, state: State) -> None:
    """Save the state of a run and note it on the job, in place of the one before.

    Raises:
        LostClaim: the job is no longer ours.
    """
    kept = store.blobs.put(dump(state))
    with store.begin() as db:
        old = jobs.save_checkpoint(db, claim, {"digest": kept.digest, "run": run})
    if old is not None and old["digest"] != kept.digest:
        store.blobs.drop(old["digest"])


def found(store: Store, claim: Claim, run: str) -> State | None:
    """The state that an earlier attempt at the same run left; None if there is none."""
    if claim.checkpoint is None or claim.checkpoint["run"] != run:
        return None
    try:
        data = store.blobs.read(claim.checkpoint["digest"])
    except NotFound:
        return None
    return load(data)


def dump(state: State) -> bytes:
    """A state as safetensors, its numbers among the metadata."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    return save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {"numbers": json.dumps(numbers, sort_keys=True)},
    )


def load(data: bytes) -> State:
    """The state that `dump` has written."""
    state: State = dict(read(data))
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    state.update(json.loads(header["__metadata__"]["numbers"]))
    return state
