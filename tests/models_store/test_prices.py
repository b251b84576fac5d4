"""Prices: arithmetic that travels as text, and forecasts that learn from what jobs took."""

import random
from dataclasses import replace

import pytest

from models_store import costs, prices
from models_store.costs import Gauge, Sizes, UnknownCost, Work
from models_store.prices import Past, Price

GAUGE = Gauge(
    forward_macs=10**8,
    training_macs=3 * 10**8,
    parameters=10**6,
    activations=10**5,
    forward_rate=0.002,
    training_rate=0.003,
)
SIZES = Sizes(forget=500, retain=4500, unseen=1000, scored=True)
COST = {"trained": "epochs * forget", "forwards": "min(retain, 1000)", "batch": "batch_size"}
NET = "net"


def counted(forget: int = 500, **known: float) -> Work:
    given = {"epochs": 2.0, "batch_size": 64.0} | known
    sizes = replace(SIZES, forget=forget)
    return costs.work(COST, "unseen + forget", given, sizes, GAUGE)


def past(work: Work, took: Price, method: str = "m", net: str = NET) -> Past:
    return Past(
        net=net,
        method=method,
        unlearning=work.unlearning,
        auditing=work.auditing,
        memory_bytes=work.memory_bytes,
        unlearning_seconds=took.unlearning_seconds,
        seconds=took.seconds,
        peak_memory_bytes=took.peak_memory_bytes,
    )


def foreseen(work: Work, known: list[Past], method: str = "m") -> Price:
    return prices.price(work, method, NET, GAUGE, 1e9, known[::-1])


# ---- arithmetic ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 * epochs + 1", 7),
        ("max(epochs, ceil(steps / 64)) * forget", 300),
        ("min(1, 0 * epochs) - 0.5", -0.5),
        ("(epochs + 1) / 2", 2),
    ],
)
def test_arithmetic_is_worked_out(text: str, value: float) -> None:
    assert costs.value(text, {"epochs": 3, "steps": 70, "forget": 100}) == value


@pytest.mark.parametrize(
    "text",
    [
        "unknown",
        "epochs ** 9",
        "print(1)",
        "epochs.real",
        "'a' * 3",
        "1 / 0",
        "1e308 * 10",
        "ceil(1e999)",
        "max(1, *epochs)",
        "max(default=1)",
        "1 +",
        "(" * 300,
        "1" * 501,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnknownCost):
        costs.value(text, {"epochs": 3})


def test_work_is_counted_from_sizes_and_parameters() -> None:
    work = counted(forget=100, epochs=3)

    assert work.unlearning == pytest.approx(3 * 100 * 0.3 + 1000 * 0.1)
    assert work.unlearning_seconds == pytest.approx(3 * 100 * 0.3 * 0.003 + 1000 * 0.1 * 0.002)
    assert work.auditing == pytest.approx(1100 * 0.1)
    assert work.memory_bytes == 5 * 4 * 10**6 + 64 * 8 * 10**5


# ---- forecasts -----------------------------------------------------------------------------------


def test_before_the_first_job_the_rates_of_the_warm_up_decide() -> None:
    work = counted()

    found = foreseen(work, [])

    assert found.unlearning_seconds == round(work.unlearning_seconds, 3)
    assert found.seconds == pytest.approx(
        work.unlearning_seconds + work.auditing * 0.002 + prices.FIRST_SECONDS, abs=0.002
    )
    assert found.peak_memory_bytes == round(1e9 + work.memory_bytes)


def test_jobs_of_the_same_method_decide_before_those_of_others_and_those_before_the_warm_up() -> (
    None
):
    work = counted()
    took = foreseen(work, [])
    slow = replace(took, unlearning_seconds=4 * took.unlearning_seconds)
    other = past(work, slow, method="other")

    assert foreseen(work, [other]).unlearning_seconds == pytest.approx(
        slow.unlearning_seconds, rel=0.01
    )
    assert foreseen(work, [past(work, took), other]).unlearning_seconds == pytest.approx(
        took.unlearning_seconds, rel=0.01
    )
    elsewhere = past(work, slow, net="another net")
    assert foreseen(work, [elsewhere]) == took


def test_after_ten_jobs_forecasts_are_close_though_the_worker_is_slower_than_its_warm_up() -> None:
    chance = random.Random(7)

    def truth(work: Work) -> Price:
        unlearning = work.unlearning_seconds * 1.7 * chance.uniform(0.92, 1.08)
        audit = work.auditing * 0.002 * 1.3 + 0.8 * chance.uniform(0.8, 1.2)
        memory = 1.2e9 + work.memory_bytes * 1.1
        return Price(
            seconds=unlearning + audit,
            unlearning_seconds=unlearning,
            peak_memory_bytes=round(memory),
        )

    known: list[Past] = []
    errors: list[float] = []
    for _ in range(40):
        work = counted(forget=chance.randint(50, 5000), epochs=chance.randint(1, 5))
        expected, took = foreseen(work, known), truth(work)
        errors.append(abs(expected.seconds / took.seconds - 1))
        known.append(past(work, took))

    assert errors[0] > 0.25
    assert max(errors[10:]) < 0.25


def test_one_job_that_ran_beside_others_changes_little() -> None:
    work = counted()
    usual = foreseen(work, [])
    disturbed = replace(
        usual, seconds=50 * usual.seconds, unlearning_seconds=50 * usual.unlearning_seconds
    )
    known = [past(work, usual) for _ in range(8)] + [past(work, disturbed)]

    assert foreseen(work, known).seconds == pytest.approx(usual.seconds, rel=0.01)


def test_what_a_device_was_long_ago_is_forgotten() -> None:
    work = counted()
    now = foreseen(work, [])
    before = replace(now, seconds=9 * now.seconds, unlearning_seconds=9 * now.unlearning_seconds)
    known = [past(work, before)] * 30 + [past(work, now)] * prices.WINDOW

    assert foreseen(work, known).seconds == pytest.approx(now.seconds, rel=0.01)
