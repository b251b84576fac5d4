"""What a request names, found in the dataset and written down as rows."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Uuid,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from models_store import keys
from models_store.columns import listed, table
from models_store.errors import UnknownSamples
from models_store.life import RequestStatus
from models_store.tables import Dataset, ForgetRequest, RequestSample, Sample

SHOWN = 50
"""How many IDs an error or an answer lists; it says how many there are."""

FORGETTING = (RequestStatus.QUEUED, RequestStatus.RUNNING, RequestStatus.SUCCEEDED)

_R, _N, _S = (table(kind).c for kind in (ForgetRequest, RequestSample, Sample))
_OTHER = table(RequestSample).alias("earlier_sample").c
_MINE = _N.request_id == bindparam("request")


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be forgotten: `samples` or `subjects` by their IDs, or a `class` by its label."""

    kind: str
    names: tuple[str, ...] = ()
    label: int | str | None = None


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
        ["request_id", "dataset_id", "position"], rows.where(is_named(dialect, kind))
    )
    return writing.execution_options(preserve_rowcount=True)


def is_named(dialect: str, kind: str) -> ColumnElement[bool]:
    """The condition on the bare table of samples, with what `Sought.where` holds."""
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
    rows = select(_column(kind)).where(is_named(db.get_bind().dialect.name, kind)).distinct()
    unknown = sorted(set(names) - {wanted.known_as[i] for i in db.scalars(rows, wanted.where)})
    if unknown:
        raise UnknownSamples(
            f"{len(unknown)} of the {len(names)} {kind} are not in the dataset "
            f"{dataset.name!r}, the first is {unknown[0]!r}. Nothing was accepted.",
            unknown=unknown[:SHOWN],
            unknown_count=len(unknown),
        )


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
