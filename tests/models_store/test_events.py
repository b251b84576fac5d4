"""The chain of events, link by link."""

from world import World

from models_store import events


def test_a_link_that_a_savepoint_took_back_is_nobodys_ancestor(world: World) -> None:
    with world.store.begin() as db:
        events.append(db, "test.first")
        savepoint = db.begin_nested()
        events.append(db, "test.taken_back")
        savepoint.rollback()
        events.append(db, "test.second")

    with world.store.read() as db:
        before = events.verify(db, None)
    with world.store.begin() as db:
        savepoint = db.begin_nested()
        events.append(db, "test.third")
        savepoint.commit()
        events.append(db, "test.fourth")

    with world.store.read() as db:
        after = events.verify(db, None)
    assert before.valid
    assert after.valid
    assert after.length == before.length + 2
