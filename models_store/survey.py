"""How the rows that a request names stand: counted, and which of them other requests name."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    exists,
    func,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import TypeEngine

from models_store import lineage, targets
from models_store.columns import table
from models_store.life import RequestStatus
from models_store.tables import ForgetRequest, Model, RequestSample, Sample, Version
from models_store.targets import Sought

_R, _N, _S = (table(kind).c for kind in (ForgetRequest, RequestSample, Sample))
_OTHER = table(RequestSample).alias("earlier_sample").c
_ROWS = table(RequestSample).join(
    table(Sample), (_S.dataset_id == _N.dataset_id) & (_S.position == _N.position)
)


@dataclass(frozen=True, slots=True)
class Named:
    """The rows that a request named: how many, and how many of them earlier requests name."""

    count: int
    to_do: int
    """Trained on by the served version's line, and not yet forgotten by it."""
    already: dict[str, Any]


def look(db: Session, wanted: Sought, model: Model, root: Version) -> Named:
    """Of the rows that a target names: which are new, which do requests on this model name.

    Args:
        root: the first version of the line that is served.
    """
    asked = {"model": model.id, **wanted.where}
    return _surveyed(db, wanted.target.kind, asked, root)


def of_request(db: Session, request: ForgetRequest, root: Version) -> Named:
    """The same of a request whose rows are written down, beside the other requests."""
    return _surveyed(db, "", {"model": request.model_id, "request": request.id}, root)


def _surveyed(db: Session, kind: str, asked: dict[str, Any], root: Version) -> Named:
    dialect, listed = db.get_bind().dialect.name, "splits" not in root.trained_on
    found = db.execute(_survey(dialect, kind, listed=listed), asked | lineage.root_of(root))
    rows = found.all()
    counts = next(row for row in rows if row.rows is not None)
    already: dict[str, Any] = {"count": counts.again}
    if counts.again:
        already |= {
            "sample_ids": [row.sample_id for row in rows if row.sample_id is not None],
            "requests": sorted(str(row.request_id) for row in rows if row.request_id is not None),
        }
    return Named(count=counts.rows, to_do=counts.new, already=already)


@cache
def _survey(dialect: str, kind: str, *, listed: bool) -> CompoundSelect[*tuple[Any, ...]]:
    """One row of counts; the first samples that other requests name; and the first such requests.

    Args:
        kind: of a target; empty for the rows that a request has already.
    """
    named = _examined(dialect, kind, listed=listed).cte("named")
    n = named.c
    some = select(n.sample_id, n.position).where(n.again).order_by(n.position).limit(targets.SHOWN)
    others = select(_R.id).where(*_others(kind, n), n.again).distinct().limit(targets.SHOWN)
    shown, by = some.subquery().c, others.subquery().c
    counts = {"new": func.count().filter(n.new), "again": func.count().filter(n.again)}
    return union_all(
        select(*_row(rows=func.count(), **counts)).select_from(named),
        select(*_row(sample_id=shown.sample_id, position=shown.position)),
        select(*_row(request_id=by.id)),
    ).order_by("position")


def _examined(dialect: str, kind: str, *, listed: bool) -> Select[*tuple[Any, ...]]:
    """Each row: has it yet to be forgotten, do others name it?"""
    others = select(_R.id).where(*_others(kind, _S)).correlate(table(Sample))
    done = exists(others.where(_R.status == RequestStatus.SUCCEEDED))
    new = lineage.seen(dialect, listed=listed) & ~done
    asked = new.label("new"), exists(others).label("again")
    rows = select(_S.dataset_id, _S.position, _S.sample_id, *asked)
    return (
        rows.where(targets.is_named(dialect, kind))
        if kind
        else rows.select_from(_ROWS).where(_N.request_id == bindparam("request"))
    )


def _others(kind: str, row: ReadOnlyColumnCollection[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions for other requests on this model that name a row."""
    found = [
        _OTHER.request_id == _R.id,
        _R.model_id == bindparam("model"),
        _R.status.in_(targets.FORGETTING),
        _OTHER.dataset_id == row.dataset_id,
        _OTHER.position == row.position,
    ]
    return found if kind else [*found, _R.id != bindparam("request")]


_ROW: dict[str, TypeEngine[Any]] = {
    "rows": Integer(), "new": Integer(), "again": Integer(),
    "sample_id": Text(), "position": Integer(), "request_id": Uuid(),
}  # fmt: skip


def _row(**known: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """A row of `_survey`: what its part does not know is NULL."""
    return [known.get(name, cast(null(), kind)).label(name) for name, kind in _ROW.items()]
