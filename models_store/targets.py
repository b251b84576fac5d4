"""What a request names, found in the dataset and written down as rows."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Executable,
    Integer,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    exists,
    func,
    insert,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import TypeEngine

from models_store import keys, lineage
from models_store.columns import listed, table
from models_store.errors import UnknownSamples
from models_store.life import RequestStatus
from models_store.tables import Dataset, ForgetRequest, Model, RequestSample, Sample, Version

SHOWN = 50
"""How many IDs an error or an answer lists; it says how many there are."""

FORGETTING = (RequestStatus.QUEUED, RequestStatus.RUNNING, RequestStatus.SUCCEEDED)

_R, _N, _S = (table(kind).c for kind in (ForgetRequest, RequestSample, Sample))
_OTHER = table(RequestSample).alias("earlier_sample").c
_MINE = _N.request_id == bindparam("request")
_ROWS = table(RequestSample).join(
    table(Sample), (_S.dataset_id == _N.dataset_id) & (_S.position == _N.position)
)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be forgotten: `samples` or `subjects` by their IDs, or a `class` by its label."""

    kind: str
    names: tuple[str, ...] = ()
    label: int | str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """The rows that a request named: how many, and how many of them earlier requests name."""

    count: int
    to_do: int
    """Trained on by the served version's line, and not yet forgotten by it."""
    already: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sought:
    """A target, as statements look for it among the samples of a dataset."""

    dataset: Dataset
    target: Target
    known_as: dict[str, str]
    """How an ID may be stored, erased or not -> how it was named."""
    where: dict[str, Any]
    """What the statements are asked with."""


def sought(db: Session, dataset: Dataset, target: Target) -> Sought:
    """Raises `UnknownSamples` for a class that the dataset does not have."""
    if target.kind == "class":
        where = {"dataset": dataset.id, "label": label_of(dataset, target.label)}
        return Sought(dataset, target, {}, where)
    known_as = {keys.hashed(db, name): name for name in target.names}
    known_as |= {name: name for name in target.names}
    return Sought(
        dataset, target, known_as, {"dataset": dataset.id, "names": json.dumps([*known_as])}
    )


def write_down(db: Session, request: ForgetRequest, wanted: Sought) -> int:
    """Insert a row for each sample that the target names, in one statement; how many they are.

    Raises:
        UnknownSamples: IDs or subjects that the dataset does not have; `unknown` lists them (the
            first fifty). The transaction must be rolled back.
    """
    kind, names = wanted.target.kind, wanted.target.names
    rows = _named_rows(db.get_bind().dialect.name, kind)
    written: int = db.execute(rows, {"request": request.id, **wanted.where}).rowcount  # type: ignore[attr-defined] # of an INSERT it is known
    all_known = kind == "samples" and written == len(set(names))
    if wanted.known_as and not all_known:
        _refuse_unknown(db, wanted)
    return written


@cache
def _named_rows(dialect: str, kind: str) -> Executable:
    rows = select(bindparam("request", type_=Uuid()), _S.dataset_id, _S.position)
    writing = insert(table(RequestSample)).from_select(
        ["request_id", "dataset_id", "position"], rows.where(_is_named(dialect, kind))
    )
    return writing.execution_options(preserve_rowcount=True)


def _is_named(dialect: str, kind: str) -> ColumnElement[bool]:
    here = _S.dataset_id == bindparam("dataset")
    if kind == "class":
        return here & (_S.label == bindparam("label")) & (_S.split == "train")
    return here & _column(kind).in_(listed("names", dialect))


def _column(kind: str) -> Column[Any]:
    return _S.sample_id if kind == "samples" else _S.subject


def label_of(dataset: Dataset, label: int | str | None) -> int:
    """A class by its number or its name. Raises `UnknownSamples`."""
    names = dataset.class_names
    if isinstance(label, str) and label in names:
        return names.index(label)
    if isinstance(label, int) and 0 <= label < len(names):
        return label
    raise UnknownSamples(
        f"The dataset {dataset.name!r} has no class {label!r}; its classes are "
        f"{', '.join(map(str, names[:SHOWN]))}.",
        classes=names[:SHOWN],
    )


def _refuse_unknown(db: Session, wanted: Sought) -> None:
    kind, names, dataset = wanted.target.kind, wanted.target.names, wanted.dataset
    rows = select(_column(kind)).where(_is_named(db.get_bind().dialect.name, kind)).distinct()
    unknown = sorted(set(names) - {wanted.known_as[i] for i in db.scalars(rows, wanted.where)})
    if unknown:
        raise UnknownSamples(
            f"{len(unknown)} of the {len(names)} {kind} are not in the dataset "
            f"{dataset.name!r}, the first is {unknown[0]!r}. Nothing was accepted.",
            unknown=unknown[:SHOWN],
            unknown_count=len(unknown),
        )


def look(db: Session, wanted: Sought, model: Model, root: Version) -> Named:
    """Of the rows that a target names: which are new, which do requests on this model name.

    Args:
        root: the first version of the line that is served.
    """
    asked = {"model": model.id, **wanted.where}
    return _surveyed(db, wanted.target.kind, asked, root)


def survey(db: Session, request: ForgetRequest, root: Version) -> Named:
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
    some = select(n.sample_id, n.position).where(n.again).order_by(n.position).limit(SHOWN)
    others = select(_R.id).where(*_others(kind, n), n.again).distinct().limit(SHOWN)
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
    return rows.where(_is_named(dialect, kind)) if kind else rows.select_from(_ROWS).where(_MINE)


def _others(kind: str, row: ReadOnlyColumnCollection[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions for other requests on this model that name a row."""
    found = [
        _OTHER.request_id == _R.id,
        _R.model_id == bindparam("model"),
        _R.status.in_(FORGETTING),
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


def mark(db: Session, request: ForgetRequest) -> None:
    """From now on no job retains what the request names."""
    db.execute(_MARK, {"request": request.id})


def unmark(db: Session, request: ForgetRequest) -> None:
    """A withdrawn request lets go of its samples, as far as no other request names them."""
    heir = (
        select(_OTHER.request_id)
        .where(
            _R.id == _OTHER.request_id,
            _OTHER.dataset_id == _S.dataset_id,
            _OTHER.position == _S.position,
            _R.id != bindparam("request"),
            _R.status.in_(FORGETTING),
        )
        .limit(1)
        .correlate(table(Sample))
    )
    db.execute(
        update(table(Sample))
        .where(_S.forgotten_by == bindparam("request"), _IN_REQUEST)
        .values(forgotten_by=heir.scalar_subquery()),
        {"request": request.id},
    )


# An explicit membership test lets the database start from the request's few rows.
_IN_REQUEST = (
    _S.dataset_id == select(_N.dataset_id).where(_MINE).limit(1).scalar_subquery()
) & _S.position.in_(select(_N.position).where(_MINE))
_MARK = (
    update(table(Sample))
    .where(_S.forgotten_by.is_(None), _IN_REQUEST)
    .values(forgotten_by=bindparam("request"))
)
