"""Who may begin next, on both databases."""

from uuid import UUID

from world import World, samples

from models_store import desk, outcomes
from models_store.life import Lane, Queue
from models_store.tables import Job


def waiting(world: World, *queues: Queue) -> list[UUID]:
    with world.store.read() as db:
        return desk.waiting(db, queues or list(Queue))


def ask(world: World, row: int, lane: Lane) -> UUID:
    job_id = world.ask(samples(f"train/deer/{row:02d}"), lane=lane).job_id
    assert job_id is not None
    return job_id


def test_a_job_that_is_withdrawn_while_it_waits_leaves_no_checkpoint(world: World) -> None:
    job_id = ask(world, 0, Lane.QUALITY)
    checkpoint = world.paused(job_id)

    with world.store.begin() as db:
        waiting = desk.leftovers(db, job_id)
        left = desk.withdraw(db, db.get_one(Job, job_id), "tuning", "me")

    assert (waiting, left) == ([], [checkpoint])
    with world.store.read() as db:
        assert db.get_one(Job, job_id).checkpoint is None


def test_jobs_begin_in_the_order_of_their_queues(world: World) -> None:
    exact, fast, quality = (
        ask(world, row, lane) for row, lane in enumerate((Lane.EXACT, Lane.FAST, Lane.QUALITY))
    )

    assert waiting(world) == [fast, quality, exact]
    assert waiting(world, Queue.EXACT, Queue.QUALITY) == [quality, exact]


def test_a_job_that_was_lost_is_before_all_that_have_not_begun(world: World) -> None:
    exact, fast = ask(world, 0, Lane.EXACT), ask(world, 1, Lane.FAST)
    claim = world.claim(exact)
    assert claim is not None

    with world.store.begin() as db:
        outcomes.broke_down(db, claim, {"code": "worker_lost", "retryable": True}, 3)

    assert waiting(world) == [exact, fast]
