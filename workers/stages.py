"""States of a run that is made of parts: each part's names carry its own in front."""

from dataclasses import replace

from workers.kinds import State, Step


def part(state: State | None, name: str) -> State | None:
    """What a state keeps for one part, under the part's own names; None if nothing."""
    start = f"{name}."
    found = {
        key.removeprefix(start): value
        for key, value in (state or {}).items()
        if key.startswith(start)
    }
    return found or None


def inside(name: str, state: State) -> State:
    """The state of a part, as the whole run keeps it."""
    return {f"{name}.{key}": value for key, value in state.items()}


def keeping(step: Step, name: str, beside: State) -> Step:
    """The same step; its state, if any, is kept as that of a part, with others beside it."""
    if step.state is None:
        return step
    save = step.state
    return replace(step, state=lambda: inside(name, save()) | beside)
