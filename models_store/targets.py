"""What a request names, found in the dataset and written down as rows."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    Uuid,
    bindparam,
    exists,
    func,
    insert,
    null,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

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
    writing = insert(table(RequestSample)).from_select(
        ["request_id", "dataset_id", "position"], rows
    )
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
        found = db.execute(_AGAIN, asked).all()
        already |= {
            "sample_ids": [row.sample_id for row in found if row.sample_id is not None],
            "requests": sorted(str(row.request_id) for row in found if row.request_id is not None),
        }
    return Named(count=count, to_do=to_do, already=already)


_R, _N, _S = (table(kind).c for kind in (ForgetRequest, RequestSample, Sample))
_OTHER = table(RequestSample).alias("earlier_sample").c
_MINE = _N.request_id == bindparam("request")
_ROWS = table(RequestSample).join(
    table(Sample), (_S.dataset_id == _N.dataset_id) & (_S.position == _N.position)
)
_EARLIER = select(_R.id).where(
    _OTHER.request_id == _R.id,
    _R.model_id == bindparam("model"),
    _R.id != bindparam("request"),
    _R.status.in_(FORGETTING),
    _OTHER.dataset_id == _N.dataset_id,
    _OTHER.position == _N.position,
)
"""Earlier requests on this model that name the row of `request_samples` at hand."""
_NAMED = exists(_EARLIER.correlate(table(RequestSample)))
_DONE = exists(_EARLIER.where(_R.status == RequestStatus.SUCCEEDED).correlate(table(RequestSample)))
_IDS = (
    select(_S.sample_id, _S.position)
    .select_from(_ROWS)
    .where(_MINE, _NAMED)
    .order_by(_S.position)
    .limit(SHOWN)
).subquery()
_REQUESTS = _EARLIER.where(_MINE).distinct().limit(SHOWN).subquery()
_AGAIN = union_all(
    select(_IDS, type_coerce(null(), Uuid()).label("request_id")),
    select(null(), null(), _REQUESTS.c.id),
).order_by("position")
"""The first samples that others name too, and these others: put together once, like the rest."""


@cache
def _counts(dialect: str, *, listed: bool) -> Select[int, int, int]:
    """All rows, those that are to be forgotten, and those that earlier requests name."""
    new = lineage.seen(dialect, listed=listed) & ~_DONE
    counts = func.count(), func.count().filter(new), func.count().filter(_NAMED)
    return select(*counts).select_from(_ROWS).where(_MINE)


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
