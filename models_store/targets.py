"""What a request names, found in the dataset and written down as rows."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from models_store import keys, lineage
from models_store.columns import among
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
            them (the first fifty) and nothing is written.
    """
    dialect = db.get_bind().dialect.name
    if target.kind == "class":
        found: ColumnElement[bool] = (Sample.label == label_of(dataset, target.label)) & (
            Sample.split == "train"
        )
    else:
        column = Sample.sample_id if target.kind == "samples" else Sample.subject
        known_as = {keys.hashed(db, name): name for name in target.names}
        known_as |= {name: name for name in target.names}  # erased or not
        found = among(column, _known(db, dataset, column, target, known_as), dialect)
    rows = select(literal(request.id), Sample.dataset_id, Sample.position)
    rows = rows.where(Sample.dataset_id == dataset.id, found)
    columns = ["request_id", "dataset_id", "position"]
    writing = insert(RequestSample).from_select(columns, rows)
    written = db.execute(writing.execution_options(preserve_rowcount=True))
    return written.rowcount  # type: ignore[attr-defined,no-any-return] # of an INSERT it is known


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


def _known(
    db: Session, dataset: Dataset, column: Any, target: Target, known_as: dict[str, str]
) -> list[str]:
    """The identifiers as the dataset has them. Raises `UnknownSamples`."""
    known = select(column).where(
        Sample.dataset_id == dataset.id,
        among(column, list(known_as), db.get_bind().dialect.name),
    )
    found = list(db.scalars(known.distinct()))
    unknown = sorted(set(target.names) - {known_as[stored] for stored in found})
    if unknown:
        raise UnknownSamples(
            f"{len(unknown)} of the {len(target.names)} {target.kind} are not in the dataset "
            f"{dataset.name!r}, the first is {unknown[0]!r}. Nothing was accepted.",
            unknown=unknown[:SHOWN],
            unknown_count=len(unknown),
        )
    return found


def survey(db: Session, request: ForgetRequest, served: Version) -> Named:
    """Of the rows written down: which are new, which do earlier requests on this model name."""
    root = lineage.line(db, served)[-1]
    sample = (Sample.dataset_id == RequestSample.dataset_id) & (
        Sample.position == RequestSample.position
    )
    rows = select(RequestSample).join(Sample, sample).where(_mine(request))
    trained = lineage.trained_on(root, db.get_bind().dialect.name)
    earlier = _earlier(request)
    done = _named_by(earlier.where(ForgetRequest.status == RequestStatus.SUCCEEDED))
    named = _named_by(earlier)
    counts = (func.count(), func.count().filter(trained & ~done), func.count().filter(named))
    count, to_do, again = db.execute(rows.with_only_columns(*counts)).one()
    already: dict[str, Any] = {"count": again}
    if again:
        ids = rows.where(named).with_only_columns(Sample.sample_id)
        by = db.scalars(
            earlier.where(RequestSample.request_id == request.id).distinct().limit(SHOWN)
        )
        already |= {
            "sample_ids": list(db.scalars(ids.order_by(Sample.position).limit(SHOWN))),
            "requests": sorted(str(request_id) for request_id in by),
        }
    return Named(count=count, to_do=to_do, already=already)


def _earlier(request: ForgetRequest) -> Select[UUID]:
    """Earlier requests on this model that name the row at hand (joined on `RequestSample`)."""
    other = aliased(RequestSample, name="earlier_sample")
    return (
        select(ForgetRequest.id)
        .join(other, other.request_id == ForgetRequest.id)
        .where(
            ForgetRequest.model_id == request.model_id,
            ForgetRequest.id != request.id,
            ForgetRequest.status.in_(FORGETTING),
            other.dataset_id == RequestSample.dataset_id,
            other.position == RequestSample.position,
        )
    )


def _named_by(earlier: Select[UUID]) -> ColumnElement[bool]:
    return exists(earlier.correlate(RequestSample))


def _mine(request: ForgetRequest) -> ColumnElement[bool]:
    return RequestSample.request_id == request.id


def mark(db: Session, request: ForgetRequest) -> None:
    """From now on no job retains what the request names."""
    db.execute(
        update(Sample)
        .where(Sample.forgotten_by.is_(None), _in_request(request))
        .values(forgotten_by=request.id)
        .execution_options(synchronize_session=False)
    )


def unmark(db: Session, request: ForgetRequest) -> None:
    """A withdrawn request lets go of its samples, as far as no other request names them."""
    other = aliased(RequestSample)
    heir = (
        select(other.request_id)
        .join(ForgetRequest, ForgetRequest.id == other.request_id)
        .where(
            other.dataset_id == Sample.dataset_id,
            other.position == Sample.position,
            ForgetRequest.id != request.id,
            ForgetRequest.status.in_(FORGETTING),
        )
        .limit(1)
        .correlate(Sample)
    )
    db.execute(
        update(Sample)
        .where(Sample.forgotten_by == request.id, _in_request(request))
        .values(forgotten_by=heir.scalar_subquery())
        .execution_options(synchronize_session=False)
    )


def _in_request(request: ForgetRequest) -> ColumnElement[bool]:
    # An explicit membership test lets the database start from the request's few rows.
    positions = select(RequestSample.position).where(_mine(request))
    dataset = select(RequestSample.dataset_id).where(_mine(request)).limit(1).scalar_subquery()
    return (Sample.dataset_id == dataset) & Sample.position.in_(positions)
