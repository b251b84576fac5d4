"""The store as one object: transactions in sight, bytes by digest, and the bell."""

import select
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from models_store.bell import Bell
from models_store.blobs import Blobs
from models_store.errors import InvalidParams, Unavailable
from models_store.objects import Objects
from models_store.settings import Settings

SCHEMA = "0006"
"""The migration whose tables this code was written for."""

SQLITE_AWAY = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
)
POSTGRESQL_OPTIONS = (
    "-c synchronous_commit=on "  # what was answered with 202 outlives the database's death
    "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"
)


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that lasts. Open one per process."""

    settings: Settings
    engine: Engine
    blobs: Blobs
    objects: Objects | None
    """Where the pixels of new datasets go, if not among the blobs."""
    bell: Bell
    _writing: sessionmaker[Session]
    _reading: sessionmaker[Session]
    _glancing: Engine
    _turn: AbstractContextManager[object]

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """Connect lazily: nothing is asked of the database or the broker yet."""
        if settings.embedded:
            settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(OSError):  # workers take no job until the folder is there
            settings.blob_folder.mkdir(parents=True, exist_ok=True)
        engine = connect(settings.sql_url)
        return cls(
            settings=settings,
            engine=engine,
            blobs=Blobs(settings.blob_folder),
            objects=Objects(settings.shards) if settings.shards else None,
            bell=Bell.hung(settings.broker_url),
            _writing=sessionmaker(
                engine, expire_on_commit=False, info={"settings": settings, "kept": {}}
            ),
            _reading=sessionmaker(engine.execution_options(reads=True), expire_on_commit=False),
            _glancing=engine.execution_options(reads=True, isolation_level="AUTOCOMMIT"),
            # SQLite lets one write and has the others poll, luckless ones for ever: queue here.
            _turn=Lock() if settings.embedded else nullcontext(),
        )

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction that writes: commits at the end of the block, or leaves no trace.

        Raises:
            Unavailable: the database does not answer; the block has had no effect, except that a
                connection cut during the commit itself leaves its outcome unknown.
        """
        with translated(), self._turn, self._writing.begin() as db:
            yield db

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads: it never waits for a writer. Raises `Unavailable`."""
        with translated(), self._reading() as db:
            yield db

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """For one statement that reads: without transaction or session it takes half as long.

        Raises `Unavailable`.
        """
        with translated(), self._glancing.connect() as db:
            yield db

    def home(self, digest: str) -> Blobs | Objects:
        """Where a shard of pixels lies: those from before there was a URL stay among the blobs."""
        if self.objects is None or self.blobs.path(digest).exists():
            return self.blobs
        return self.objects

    def drop(self, digest: str) -> None:
        """Remove bytes that no row owns any more. Raises `ObjectsAway`."""
        if not self.blobs.drop(digest) and self.objects is not None:
            self.objects.drop(digest)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
        self.bell.close()


def connect(url: str) -> Engine:
    """An engine with our habits for either database."""
    if not url.startswith("sqlite"):
        engine = create_engine(
            url,
            pool_size=20,
            max_overflow=0,  # one above the size would be opened anew for each call
            pool_timeout=5,
            pool_use_lifo=True,  # the one used last knows our statements best
            connect_args={"connect_timeout": 3, "options": POSTGRESQL_OPTIONS},
        )
        event.listen(engine, "checkout", _refuse_stale)
        return engine
    engine = create_engine(url, connect_args={"timeout": 15, "check_same_thread": False})
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _refuse_stale(connection: Any, record: Any, fairy: Any) -> None:
    """A server that goes away closes its connections; asking the socket costs no round trip."""
    del record, fairy
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    if socket.poll(0):  # though nobody has asked it anything
        raise InvalidatePoolError


def _tune_sqlite(connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # our own BEGIN, below, instead of the driver's
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that upgrades later could fail in the middle.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def translated() -> Iterator[None]:
    """A database that is down, restarting or locked becomes `Unavailable`."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("The database is too busy; try again in a moment.") from error
    except DataError as error:  # such as a NUL character, which PostgreSQL cannot keep
        raise InvalidParams("The database cannot keep one of these values.") from error
    except DBAPIError as error:
        if not _is_away(error):
            raise
        raise Unavailable("The database does not answer; try again in a moment.") from error


def _is_away(error: DBAPIError) -> bool:
    """Is it the database's state, and not a mistake in our statement?"""
    if isinstance(error.orig, sqlite3.OperationalError):  # which is also its word for mistakes
        return error.orig.sqlite_errorcode & 0xFF in SQLITE_AWAY  # without the extended part
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def schema(store: Store) -> str | None:
    """The migration that the database is at; None before the first. Raises `Unavailable`."""
    with store.read() as db:
        if not inspect(db.connection()).has_table("alembic_version"):
            return None
        found = db.scalar(text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)
