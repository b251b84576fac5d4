"""A long manifest: a page of a subject's samples, or of a class's, is one step down an index."""

from typing import Any

import pytest
from sqlalchemy import event
from world import World

from models_store import datasets
from models_store.datasets import SampleRow
from models_store.tables import Blob

MANY = 20_000
"""So many that PostgreSQL's planner does not think of reading them all."""


@pytest.fixture
def long(world: World) -> World:
    """Ten images of each subject, a hundred classes, far apart."""
    persons = MANY // 10
    more = [
        SampleRow(f"more/{i:05d}", 40 + i, i % 100, "train", f"somebody-{i % persons}")
        for i in range(MANY)
    ]
    with world.store.begin() as db:
        kept = Blob(digest="b" * 64, size=1, media_type="shard")
        datasets.add_shard(db, world.dataset_id, 1, kept, more)
    with world.store.begin() as db:
        datasets.look_over(db)
    return world


def plan(world: World, **filters: Any) -> tuple[list[int], str]:
    """The positions on a page, and how the database says that it finds them."""
    asked: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        if arguments[2].startswith("SELECT"):
            asked.append(arguments[2:4])

    with world.store.read() as db:
        event.listen(world.store.engine, "before_cursor_execute", note)
        rows = datasets.sample_page(db, world.dataset_id, after=100, limit=50, **filters)
        event.remove(world.store.engine, "before_cursor_execute", note)
        [(statement, parameters)] = asked
        sqlite = db.get_bind().dialect.name == "sqlite"
        how = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        lines = db.connection().exec_driver_sql(f"{how} {statement}", parameters)
        return [row.position for row in rows], "\n".join(str(line) for line in lines)


@pytest.mark.parametrize("column", ["subject", "label"])
def test_a_page_is_found_and_put_in_order_by_one_index(long: World, column: str) -> None:
    wanted = {"subject": "somebody-70", "label": 70}[column]

    positions, how = plan(long, **{column: wanted})

    step = MANY // 10 if column == "subject" else 100
    assert positions == [*range(110, 40 + MANY, step)][:50]
    assert f"ix_samples_dataset_id_{column}_position" in how
    assert "sort" not in how.lower()
    assert "order by" not in how.lower()  # as SQLite would say it of a sort
    assert "scan samples" not in how.lower()
