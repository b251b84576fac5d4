"""A walk through the life of requests by every verb in any order, on a real database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any
from uuid import UUID

import invariants
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, update
from world import CLASSES, World, samples

from models_store import decisions, desk, outcomes, requests, rungs
from models_store.claims import Claim
from models_store.errors import InvalidTransition, LostClaim
from models_store.life import SERVED, JobKind, JobStatus, Lane, Queue
from models_store.rungs import Rung
from models_store.tables import ForgetRequest, Job, Model, Version

NAMES = [f"train/{name}/{i:02d}" for name in CLASSES for i in range(8)]
LOST = {"code": "internal", "detail": "It broke.", "retryable": True}


class Walker:
    """What people, workers and the reaper may do, each at any time; refusals are answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[UUID] = []
        self.held: list[tuple[Claim, Rung]] = []

    def ask(self, name: str, lane: Lane) -> None:
        self.asked.append(self.world.ask(samples(name), lane=lane).id)

    def decide(self, verb: Callable[..., Any], at: int, *more: str) -> None:
        if not self.asked:
            return
        try:
            with self.world.store.begin() as db:
                found = requests.get(db, "me", self.asked[at % len(self.asked)])
                verb(db, found, *more, "me")
        except InvalidTransition:
            pass

    def claim(self) -> None:
        with self.world.store.read() as db:
            waiting = desk.waiting(db, list(Queue))
        claim = self.world.claim(waiting[0]) if waiting else None
        if claim is None:
            return
        with self.world.store.begin() as db:
            rung = rungs.begin(db, claim)
            if rung is None:
                outcomes.was_cancelled(db, claim)
        if rung is not None:
            self.held.append((claim, rung))

    def end(self, how: str) -> None:
        if not self.held:
            return
        claim, rung = self.held.pop(0)
        try:
            if how in {"pass", "fail", "inconclusive"}:
                self.world.publish(claim, rung, how)
                return
            with self.world.store.begin() as db:
                if how == "broke":
                    outcomes.broke_down(db, claim, LOST, 3)
                else:
                    outcomes.was_cancelled(db, claim)
        except LostClaim:
            pass

    def lose_and_reap(self) -> None:
        """The lease runs out; the attempt goes on and will find out."""
        with self.world.store.begin() as db:
            db.execute(
                update(Job)
                .where(Job.status == JobStatus.RUNNING)
                .values(lease_expires_at=Job.created_at)
            )
        with self.world.store.read() as db:
            lost = desk.lost(db)
        for job_id in lost:
            with self.world.store.begin() as db:
                desk.reap(db, job_id, self.world.store.settings)

    def check(self) -> None:
        invariants.hold(self.world.store)
        with self.world.store.read() as db:
            running = select(Job.model_id, func.count()).where(
                Job.kind == JobKind.FORGET, Job.status == JobStatus.RUNNING
            )
            assert all(count == 1 for _, count in db.execute(running.group_by(Job.model_id)))
            served = select(func.count()).where(Version.state.in_(SERVED))
            assert db.scalar(served) == 1

    def finish(self) -> None:
        """Whatever is still open reaches an end, once somebody works on it."""
        self.lose_and_reap()
        self.held.clear()
        for _ in range(200):
            self.claim()
            if not self.held:
                break
            self.end("pass")
        with self.world.store.read() as db:
            still = select(ForgetRequest.status).where(ForgetRequest.finished_at.is_(None))
            assert set(db.scalars(still)) <= {"awaiting_approval"}
        self.check()


ENDS = ("pass", "pass", "fail", "inconclusive", "broke", "cancelled")


class Life(RuleBasedStateMachine):
    """The walker's verbs as rules; walks share the world, as requests share a model."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.walker = Walker(self.world)

    @rule(name=st.sampled_from(NAMES), lane=st.sampled_from(list(Lane)))
    def ask(self, name: str, lane: Lane) -> None:
        self.walker.ask(name, lane)

    @rule(required=st.booleans())
    def set_policy(self, *, required: bool) -> None:
        with self.world.store.begin() as db:
            db.get_one(Model, self.world.model_id).policy = {"require_approval": required}

    @rule(at=st.integers(0, 9), verb=st.sampled_from(("cancel", "approve", "retry")))
    def decide(self, at: int, verb: str) -> None:
        self.walker.decide(getattr(decisions, verb), at)

    @rule(at=st.integers(0, 9))
    def deny(self, at: int) -> None:
        self.walker.decide(decisions.deny, at, "no_match", "Not ours.")

    @rule()
    def claim(self) -> None:
        self.walker.claim()

    @rule(how=st.sampled_from(ENDS))
    def end(self, how: str) -> None:
        self.walker.end(how)

    @rule()
    def lose_and_reap(self) -> None:
        self.walker.lose_and_reap()

    @invariant()
    def holds(self) -> None:
        self.walker.check()

    def teardown(self) -> None:
        self.walker.finish()


def test_no_walk_through_life_loses_a_request_or_breaks_a_rule(world: World) -> None:
    run_state_machine_as_test(
        type("Walk", (Life,), {"world": world}),
        settings=settings(
            max_examples=5,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_walks_of_several_threads_at_once_lose_nothing_either(world: World, seed: int) -> None:
    def walk(number: int) -> None:
        chance, walker = Random(f"{seed} {number}"), Walker(world)
        for _ in range(15):
            match chance.randrange(5):
                case 0 | 1:
                    walker.ask(chance.choice(NAMES), chance.choice(list(Lane)))
                case 2:
                    walker.claim()
                case 3:
                    walker.end(chance.choice(ENDS))
                case _:
                    walker.decide(chance.choice([decisions.cancel, decisions.retry]), number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(walk, range(4)))

    Walker(world).finish()
