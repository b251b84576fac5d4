"""The grammar of the tables: naming, JSON, enums, and time as the database tells it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

import uuid_utils
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Float,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

T = TypeVar("T", str, int)

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def new_id() -> UUID:
    """A UUIDv7: unique, and in the order of creation."""
    return UUID(int=uuid_utils.uuid7().int)


class Instant(TypeDecorator[datetime]):
    """A moment, always aware and in UTC on the Python side; microseconds in both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock, plus an optional delay. No other clock decides anything."""

    type = Instant()
    inherit_cache = True

    def __init__(self, delay: timedelta = timedelta()) -> None:
        seconds = delay.total_seconds()
        super().__init__(*([literal(seconds, Float())] if seconds else []))


@compiles(now, "sqlite")
def _sqlite_now(element: now, compiler: SQLCompiler, **options: Any) -> str:
    later = "'+0.000 seconds'"
    if len(element.clauses):
        later = f"printf('%+.3f seconds', {compiler.process(element.clauses, **options)})"
    return f"(strftime('%Y-%m-%d %H:%M:%f000', 'now', {later}))"


@compiles(now, "postgresql")
def _postgresql_now(element: now, compiler: SQLCompiler, **options: Any) -> str:
    if not len(element.clauses):
        return "clock_timestamp()"
    delay = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {delay}))"


def choice(kind: type[StrEnum]) -> Enum:
    """A column of one of these words, stored as the word and held by a CHECK."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=kind.__name__.lower(),
        length=24,
        values_callable=lambda words: [word.value for word in words],
    )


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        datetime: Instant(),
        dict[str, Any]: Json,
        list[Any]: Json,
    }


Id = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
Stamp = Annotated[datetime, mapped_column(server_default=now())]
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only INTEGER keys


def table(kind: type[Base]) -> Table:
    """The bare table: statements on it are quicker, as no objects are made or looked after."""
    assert isinstance(kind.__table__, Table)
    return kind.__table__


def inserting(dialect: str, kind: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """The INSERT of a database that can be told what to do where a row is there already."""
    into = table(kind)
    return postgresql.insert(into) if dialect == "postgresql" else sqlite.insert(into)


class Many(TypeDecorator[list[Any]]):
    """Values of a type, however many, as one parameter."""

    impl = Text
    cache_ok = True

    def __init__(self, each: TypeEngine[Any]) -> None:
        super().__init__()
        self.each = each

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.each) if _has_arrays(dialect.name) else Text())

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        return value if _has_arrays(dialect.name) else json.dumps(value)


def _has_arrays(dialect: str) -> bool:
    return dialect == "postgresql"


def among(
    column: InstrumentedAttribute[T] | InstrumentedAttribute[T | None] | Column[T],
    values: Sequence[T] | str,
    dialect: str,
) -> ColumnElement[bool]:
    """Is the column one of `values`, or of what the parameter of this name will hold (a list)?"""
    many = Many(column.type)
    listed = bindparam(values, type_=many) if isinstance(values, str) else literal([*values], many)
    if _has_arrays(dialect):
        return column == any_(listed)
    each = func.json_each(listed).table_valued("value")
    return column.in_(select(each.c.value))


def listed(name: str, dialect: str) -> Select[Any]:
    """The texts in the parameter of this name, a JSON list, as rows.

    PostgreSQL guesses how long an array is, and plans a statement anew each time that its guess for
    all looks dear beside the array at hand; of these rows it guesses the same every time.
    """
    given = bindparam(name, type_=Text())
    if dialect != "postgresql":
        return select(func.json_each(given).table_valued("value").c.value)
    return select(func.json_array_elements_text(cast(given, JSON)).column_valued("value"))
