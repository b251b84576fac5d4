"""The bell on a real Redis: a ring reaches the queue that it is meant for, and no other."""

from uuid import uuid4

from pydantic import SecretStr
from services import Redis

from models_store.bell import Bell
from models_store.life import Queue


def test_a_ring_for_one_queue_is_heard_in_that_queue_alone(redis: Redis) -> None:
    bell = Bell.hung(SecretStr(redis.url))

    rung = [bell.ring(uuid4(), 0, queue) for queue in (Queue.FAST, Queue.FAST, Queue.EXACT)]

    lengths = {queue: redis.client().llen(f"lethe:{queue.value}") for queue in Queue}
    bell.close()
    assert all(rung)
    assert lengths == {Queue.FAST: 2, Queue.QUALITY: 0, Queue.EXACT: 1, Queue.UPKEEP: 0}


def test_without_a_broker_workers_look_for_themselves() -> None:
    bell = Bell.hung(None)

    assert bell.ring(uuid4(), 0, Queue.FAST)
    assert bell.answers()
