"""One of the processes of a run on several devices; `parallel` starts them and says how they talk."""

import json
import os
import select
import sys
from pathlib import Path
from threading import Thread
from typing import IO, Any

import torch
from pydantic import TypeAdapter
from torch import distributed, nn

from models_store.rungs import Subject
from models_store.settings import Settings
from models_store.store import Store
from workers import checkpoints, memory, methods, shelf, sparsity
from workers.bench import Bench
from workers.kinds import Given, Method, Recipe, State, Step
from workers.parallel import ORDERS, OUT_OF_MEMORY, SETS, STATE, TENSORS, tell, tensors
from workers.stages import part


def main() -> None:
    """Carry out our part of a run: `torchrun -m workers.teammate FOLDER`."""
    memory.keep()
    # What anybody else prints must not stand between the steps.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        _take_part(Path(sys.argv[1]), out)
    except Exception as error:
        out_of_it = isinstance(error, torch.OutOfMemoryError | MemoryError)
        kind = OUT_OF_MEMORY if out_of_it or "can't allocate memory" in str(error) else "error"
        tell(out, json.dumps({"failed": kind, "detail": f"{type(error).__name__}: {error}"[:2000]}))
        raise


def _end_with_parent() -> None:
    hangup = select.poll()
    hangup.register(0, 0)  # nothing but that the other end has closed
    hangup.poll()
    os._exit(os.EX_UNAVAILABLE)


def _take_part(folder: Path, out: IO[str]) -> None:
    rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    method, model, given = _briefed(folder, device)
    for step in method.unlearn(model, given):
        if rank == 0:
            _say(folder, out, step)
    if rank == 0:
        (folder / STATE).write_bytes(checkpoints.dump({**model.state_dict()}))
        tell(out, json.dumps({"left": STATE}))
    distributed.destroy_process_group()


def _briefed(folder: Path, device: torch.device) -> tuple[Method, nn.Module, Given]:
    orders: dict[str, Any] = json.loads((folder / ORDERS).read_text())
    state = checkpoints.load((folder / TENSORS).read_bytes())
    subject = TypeAdapter(Subject).validate_python(orders["subject"])
    store = Store.open(Settings.model_validate(orders["settings"]))
    bench = Bench(store=store, name="parallel", device=device)
    masks, rng = tensors(part(state, "mask")), torch.Generator()
    rng.set_state(tensors(state)["rng"])

    def fresh(seed: int) -> nn.Module:
        return sparsity.hold(bench.net(subject, seed), masks)

    model = fresh(0)
    model.load_state_dict(tensors(part(state, "model")))
    laid = bench.lay(subject.dataset_id)
    forget, retain, holdout = (laid.samples(tensors(state)[each]) for each in SETS)
    given = Given(
        forget=forget,
        retain=retain,
        holdout=holdout,
        classes=len(subject.class_names),
        fresh=fresh,
        recipe=Recipe(**orders["recipe"]) if orders["recipe"] else None,
        rng=rng,
        precision=orders["precision"],
        prepared=_on(device, part(state, "prepared")),
        resume=part(state, "resume"),
    )
    kind = shelf.take(methods, Method, orders["method"])
    return shelf.make(kind, orders["params"]), model, given


def _on(device: torch.device, state: State | None) -> State | None:
    """What the method found on the base model, where it left it."""
    if state is None:
        return None
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in state.items()}


def _say(folder: Path, out: IO[str], step: Step) -> None:
    counts = {name: getattr(step, name) for name in ("done", "total", "epoch", "epochs")}
    tell(out, json.dumps(counts | {"resumable": step.state is not None}))
    while step.state is not None and sys.stdin.readline().strip() == "save":
        (folder / STATE).write_bytes(checkpoints.dump(step.state()))
        tell(out, json.dumps({"saved": STATE}))


if __name__ == "__main__":
    main()
