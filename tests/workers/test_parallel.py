"""A run in two processes of torchrun: the same net as in one, and the same places to resume."""

from copy import deepcopy
from pathlib import Path

import teamed
import torch
from torch import Tensor

from workers.kinds import State
from workers.methods.random_labels import RandomLabels
from workers.parallel import Spread

METHOD = RandomLabels(batchnorm="frozen", epochs=3, steps=0, batch_size=16, learning_rate=0.02)


def close(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=2e-5, rtol=1e-4, msg=name)


def test_two_processes_end_as_one_does_and_can_be_resumed_where_one_can(
    tmp_path: Path, sqlite_template: Path
) -> None:
    with teamed.opened(tmp_path, sqlite_template) as scene:
        bench, subject = teamed.bench_of(scene), teamed.subject_of(scene)
        base = teamed.trained(bench, subject)
        alone, together, resumed = deepcopy(base), deepcopy(base), deepcopy(base)
        spread = Spread(METHOD, "random_labels", bench, subject, teamed.COUNT)
        steps = [*METHOD.unlearn(alone, teamed.given(bench, subject))]

        seen, states = [], list[State]()
        for step in spread.unlearn(together, teamed.given(bench, subject)):
            seen.append((step.done, step.total, step.epoch, step.epochs, step.state is not None))
            if step.state is not None:
                states.append(step.state())
        for _ in METHOD.unlearn(resumed, teamed.given(bench, subject, states[0])):
            pass

    assert seen == [(s.done, s.total, s.epoch, s.epochs, s.state is not None) for s in steps]
    assert len(states) == METHOD.epochs
    close(together.state_dict(), alone.state_dict())
    close(resumed.state_dict(), alone.state_dict())
    pairs = zip(alone.parameters(), base.parameters(), strict=True)
    assert all(not torch.equal(after, before) for after, before in pairs)
