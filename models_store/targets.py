"""What a request names, found in the dataset and written down as rows."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    Uuid,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from models_store import keys, lineage
from models_store.columns import among, table
from models_store.errors import UnknownSamples
from models_store.life import RequestStatus
from models_store.tables import Dataset, ForgetRequest, RequestSample, Sample, Version

SHOWN = 50
"""How many IDs an error or an answer lists; it says how many there are."""

FORGETTING = (RequestStatus.QUEUED, RequestStatus.RUNNING, RequestStatus.SUCCEEDED)


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


def write_down(db: Session, request: ForgetRequest, dataset: Dataset, target: Target) -> int:
    """Insert a row for each sample that the target names, in one statement; how many they are.

    Raises:
        UnknownSamples: IDs, a class or subjects that the dataset does not have; `unknown` lists
            them (the first fifty). The transaction must be rolled back.
    """
    which: dict[str, Any] = {"request": request.id, "dataset": dataset.id}
    known_as: dict[str, str] = {}
    if target.kind == "class":
        which["label"] = label_of(dataset, target.label)
    else:
        known_as = {keys.hashed(db, name): name for name in target.names}
        known_as |= {name: name for name in target.names}  # erased or not
        which["names"] = [*known_as]
    dialect = db.get_bind().dialect.name
    written: int = db.execute(_named_rows(dialect, target.kind), which).rowcount  # type: ignore[attr-defined] # of an INSERT it is known
    all_known = target.kind == "samples" and written == len(set(target.names))
    if known_as and not all_known:
        _refuse_unknown(db, dataset, target, known_as)
    return written


@cache
def _named_rows(dialect: str, kind: str) -> Executable:
    found = _is_named(dialect, kind)
    rows = select(bindparam("request", type_=Uuid()), Sample.dataset_id, Sample.position)
    rows = rows.where(Sample.dataset_id == bindparam("dataset"), found)
    writing = insert(table(RequestSample)).from_select(["request_id", "dataset_id", "position"], rows)
    return writing.execution_options(preserve_rowcount=True)


def _is_named(dialect: str, kind: str) -> ColumnElement[bool]:
    if kind == "class":
        return (Sample.label == bindparam("label")) & (Sample.split == "train")
    return among(_COLUMNS[kind], "names", dialect)


_COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    "samples": Sample.sample_id,
    "subjects": Sample.subject,
}


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


def _refuse_unknown(
    db: Session, dataset: Dataset, target: Target, known_as: dict[str, str]
) -> None:
    column = _COLUMNS[target.kind]
    listed = among(column, [*known_as], db.get_bind().dialect.name)
    found = db.scalars(select(column).where(Sample.dataset_id == dataset.id, listed).distinct())
    unknown = sorted(set(target.names) - {known_as[stored] for stored in found})
    if unknown:
        raise UnknownSamples(
            f"{len(unknown)} of the {len(target.names)} {target.kind} are not in the dataset "
            f"{dataset.name!r}, the first is {unknown[0]!r}. Nothing was accepted.",
            unknown=unknown[:SHOWN],
            unknown_count=len(unknown),
        )


def survey(db: Session, request: ForgetRequest, root: Version) -> Named:
    """Of the rows written down: which are new, which do earlier requests on this model name.

    Args:
        root: the first version of the line that is served.
    """
    dialect, listed = db.get_bind().dialect.name, "splits" not in root.trained_on
    asked = {"request": request.id, "model": request.model_id, **lineage.root_of(root)}
    count, to_do, again = db.execute(_counts(dialect, listed=listed), asked).one()
    already: dict[str, Any] = {"count": again}
    if again:
        already |= {
            "sample_ids": list(db.scalars(_AGAIN, asked)),
            "requests": sorted(str(request_id) for request_id in db.scalars(_BEFORE, asked)),
        }
    return Named(count=count, to_do=to_do, already=already)


_MINE = RequestSample.request_id == bindparam("request")
_ROWS = (
    select(RequestSample)
    .join(
        Sample,
        (Sample.dataset_id == RequestSample.dataset_id)
        & (Sample.position == RequestSample.position),
    )
    .where(_MINE)
)


def _earlier() -> Select[UUID]:
    """Earlier requests on this model that name the row at hand (joined on `RequestSample`)."""
    other = aliased(RequestSample, name="earlier_sample")
    return (
        select(ForgetRequest.id)
        .join(other, other.request_id == ForgetRequest.id)
        .where(
            ForgetRequest.model_id == bindparam("model"),
            ForgetRequest.id != bindparam("request"),
            ForgetRequest.status.in_(FORGETTING),
            other.dataset_id == RequestSample.dataset_id,
            other.position == RequestSample.position,
        )
    )


_EARLIER = _earlier()
_NAMED = exists(_EARLIER.correlate(RequestSample))
_DONE = exists(
    _EARLIER.where(ForgetRequest.status == RequestStatus.SUCCEEDED).correlate(RequestSample)
)
_AGAIN = (
    _ROWS.where(_NAMED).with_only_columns(Sample.sample_id).order_by(Sample.position).limit(SHOWN)
)
_BEFORE = _EARLIER.where(_MINE).distinct().limit(SHOWN)


@cache
def _counts(dialect: str, *, listed: bool) -> Select[int, int, int]:
    """All rows, those that are to be forgotten, and those that earlier requests name."""
    new = lineage.seen(dialect, listed=listed) & ~_DONE
    return _ROWS.with_only_columns(
        func.count(), func.count().filter(new), func.count().filter(_NAMED)
    )


def mark(db: Session, request: ForgetRequest) -> None:
    """From now on no job retains what the request names."""
    db.execute(_MARK, {"request": request.id})


def unmark(db: Session, request: ForgetRequest) -> None:
    """A withdrawn request lets go of its samples, as far as no other request names them."""
    other = aliased(RequestSample)
    heir = (
        select(other.request_id)
        .join(ForgetRequest, ForgetRequest.id == other.request_id)
        .where(
            other.dataset_id == Sample.dataset_id,
            other.position == Sample.position,
            ForgetRequest.id != bindparam("request"),
            ForgetRequest.status.in_(FORGETTING),
        )
        .limit(1)
        .correlate(Sample)
    )
    db.execute(
        update(Sample)
        .where(Sample.forgotten_by == bindparam("request"), _IN_REQUEST)
        .values(forgotten_by=heir.scalar_subquery())
        .execution_options(synchronize_session=False),
        {"request": request.id},
    )


_POSITIONS = select(RequestSample.position).where(_MINE)
# An explicit membership test lets the database start from the request's few rows.
_IN_REQUEST = (
    Sample.dataset_id == select(RequestSample.dataset_id).where(_MINE).limit(1).scalar_subquery()
) & Sample.position.in_(_POSITIONS)
_MARK = (
    update(Sample)
    .where(Sample.forgotten_by.is_(None), _IN_REQUEST)
    .values(forgotten_by=bindparam("request"))
    .execution_options(synchronize_session=False)
)
