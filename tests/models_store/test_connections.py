"""Connections that are kept for the next call, and a server that does not keep them."""

from pathlib import Path

from sqlalchemy import text

from models_store.settings import Settings
from models_store.store import Store

END_OTHERS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
"""Waits until each has ended."""


def test_a_connection_that_the_server_has_closed_is_never_used_again(
    tmp_path: Path, postgres_url: str
) -> None:
    settings = Settings(home=tmp_path, database_url=postgres_url, blobs=tmp_path / "blobs")
    store, other = Store.open(settings), Store.open(settings)
    with store.read() as one, store.read() as two:
        before = {db.scalar(text("SELECT pg_backend_pid()")) for db in (one, two)}

    with other.begin() as db:
        ended = db.scalars(END_OTHERS).all()
    with store.begin() as one, store.glance() as two:
        after = {db.scalar(text("SELECT pg_backend_pid()")) for db in (one, two)}

    assert ended == [True, True]
    assert len(before) == len(after) == 2
    assert not before & after
    store.close()
    other.close()
