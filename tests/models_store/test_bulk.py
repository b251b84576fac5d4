"""A request that names ten thousand samples: as many statements as one that names ten."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import event, text
from world import World, furnish, rows, samples

from models_store import datasets
from models_store.datasets import SampleRow
from models_store.settings import Settings
from models_store.store import Store
from models_store.tables import Blob

MANY = 10_000


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(store.engine, "before_cursor_execute", note)
    yield seen
    event.remove(store.engine, "before_cursor_execute", note)


def test_ten_thousand_samples_are_written_down_by_one_statement(world: World) -> None:
    names = [f"more/{number:05d}" for number in range(MANY + 10)]
    more = [SampleRow(name, 40 + i, 0, "train", None) for i, name in enumerate(names)]
    with world.store.begin() as db:
        shard = Blob(digest="b" * 64, size=1, media_type="shard")
        datasets.add_shard(db, world.dataset_id, 1, shard, more)

    with statements(world.store) as few:
        world.ask(samples(*names[MANY:]))
    with statements(world.store) as many:
        request = world.ask(samples(*names[:MANY]))

    assert request.target_count == MANY
    assert len([each for each in many if "INTO request_samples" in each]) == 1
    assert len(many) <= len(few)  # the job is there already


def test_a_request_that_joins_a_job_asks_little_of_the_database(world: World) -> None:
    for each in ("train/cat/00", "train/cat/01"):
        world.ask(samples(each))

    with statements(world.store) as sent:
        world.ask(samples("train/cat/02"))

    changing = ("INSERT", "UPDATE", "DELETE")
    assert len(sent) <= 11
    assert len([each for each in sent if each.startswith(changing)]) == 5


def test_postgresql_knows_how_large_a_dataset_is_once_it_is_imported(
    tmp_path: Path, postgres_url: str
) -> None:
    store = Store.open(Settings(home=tmp_path, database_url=postgres_url, blobs=tmp_path / "blobs"))
    furnish(store)

    with store.read() as db:
        known = text("SELECT reltuples FROM pg_class WHERE relname = 'samples'")
        assert db.scalar(known) == len(rows())
    store.close()


def test_postgresql_plans_once_for_one_name_and_for_many(tmp_path: Path, postgres_url: str) -> None:
    store = Store.open(Settings(home=tmp_path, database_url=postgres_url, blobs=tmp_path / "blobs"))
    world = furnish(store)

    for _ in range(20):
        world.ask(samples("train/cat/00"))

    with store.read() as db:  # over the same connection
        plans = text("SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE :which")
        for which in ("WITH named%", "INSERT INTO request_samples%"):
            assert db.scalar(plans, {"which": which}) > 0
    store.close()
