"""Signals against their formulas, in exact and in extreme cases."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers import signals
from workers.evidence import Scores

logits = st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3)


def scored(*rows: list[float], label: int = 0) -> Scores:
    n = len(rows)
    return Scores(
        rows=torch.arange(n),
        logits=torch.tensor(rows, dtype=torch.float32),
        features=torch.zeros(n, 1, dtype=torch.float16),
        labels=torch.full((n,), label),
    )


def softmax(row: list[float]) -> list[float]:
    powers = [exp(z - max(row)) for z in row]
    return [power / sum(powers) for power in powers]


@given(logits)
def test_signals_are_what_their_formulas_say(row: list[float]) -> None:
    p = softmax([float(np.float32(z)) for z in row])
    scores = scored(row)

    others = log(sum(exp(float(np.float32(z))) for z in row[1:]))
    assert signals.margin(scores)[0] == pytest.approx(float(np.float32(row[0])) - others)
    assert signals.loss(scores)[0] == pytest.approx(-log(p[0]), abs=1e-9)
    assert signals.confidence(scores)[0] == pytest.approx(p[0])
    entropy = -sum(q * log(q) for q in p)
    assert signals.entropy(scores)[0] == pytest.approx(entropy, abs=1e-9)


@given(st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3))
def test_modified_entropy_is_what_its_formula_says(row: list[float]) -> None:
    p = softmax([float(np.float32(z)) for z in row])
    expected = -(1 - p[0]) * log(p[0]) - sum(q * log(1 - q) for q in p[1:])

    assert signals.modified_entropy(scored(row))[0] == pytest.approx(expected, rel=1e-6)


def test_modified_entropy_of_a_row_does_not_hang_on_its_neighbours() -> None:
    alone = signals.modified_entropy(scored([3.0, 1.0, -2.0]))
    among = signals.modified_entropy(scored([3.0, 1.0, -2.0], [0.0, 9.0, 1.0], [1.0, 1.0, 1.0]))

    assert among[0] == alone[0]


def test_a_margin_keeps_tails_that_a_probability_has_lost() -> None:
    sure, surer = signals.margin(scored([40.0, 0.0, 0.0], [50.0, 0.0, 0.0]))

    assert surer - sure == pytest.approx(10.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_signals_of_broken_outputs_are_finite(bad: float) -> None:
    scores = scored([bad, 1.0, 2.0], [1.0, bad, bad], [bad, bad, bad])

    for signal in (*signals.SIGNALS.values(), signals.modified_entropy, signals.confidence):
        assert np.isfinite(signal(scores)).all()
