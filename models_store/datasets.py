"""Datasets and their samples: who is in which split, and what has been forgotten."""

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models_store import events, jobs
from models_store.columns import among
from models_store.errors import NameTaken, NotFound, NotReady
from models_store.life import DatasetState, JobKind, Queue
from models_store.tables import Blob, Dataset, Job, Sample, Shard

FETCHED = 10_000
"""Rows that are read at once where all of a dataset are."""


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A sample on its way into the table."""

    sample_id: str
    position: int
    label: int
    split: str
    subject: str | None


def register(db: Session, *, name: str, source: dict[str, Any], actor: str) -> tuple[Dataset, Job]:
    """Open a dataset and the job that imports it; the job decides whether it is a duplicate."""
    dataset = Dataset(name=name)
    db.add(dataset)
    db.flush()
    db.refresh(dataset)
    job = jobs.open_job(
        db, JobKind.IMPORT, Queue.UPKEEP, dataset_id=dataset.id, task={"name": name, **source}
    )
    events.append(db, "dataset.registered", actor=actor, job_id=job.id, dataset=str(dataset.id))
    return dataset, job


def get(db: Session, id_or_name: str) -> Dataset:
    """By id, or by name: the ready one, else the newest. Raises `NotFound`."""
    try:
        found = db.get(Dataset, UUID(id_or_name))
    except ValueError:
        ready = (Dataset.state == DatasetState.READY).desc()
        found = db.scalar(
            select(Dataset)
            .where(Dataset.name == id_or_name)
            .order_by(ready, Dataset.id.desc())
            .limit(1)
        )
    if found is None:
        raise NotFound(f"There is no dataset {id_or_name!r}.")
    return found


def get_ready(db: Session, id_or_name: str) -> Dataset:
    """Like `get`, following a duplicate to the original. Raises `NotReady` before it is usable."""
    dataset = get(db, id_or_name)
    if dataset.same_as is not None:
        dataset = db.get_one(Dataset, dataset.same_as)
    if dataset.state != DatasetState.READY:
        raise NotReady(
            f"The dataset {dataset.name!r} is {dataset.state}; wait until its import has ended.",
            state=dataset.state,
        )
    return dataset


def begin_rows(db: Session, dataset_id: UUID) -> None:
    """Forget what an earlier attempt at this import had written."""
    for table in (Sample, Shard):
        db.execute(table.__table__.delete().where(table.dataset_id == dataset_id))  # type: ignore[attr-defined]


def add_shard(
    db: Session, dataset_id: UUID, number: int, kept: Blob, rows: Sequence[SampleRow]
) -> None:
    """Add one packed file and its samples, in one bulk statement."""
    db.merge(kept)
    db.flush()
    db.add(
        Shard(
            dataset_id=dataset_id,
            number=number,
            digest=kept.digest,
            first=rows[0].position,
            count=len(rows),
        )
    )
    db.execute(insert(Sample), [{"dataset_id": dataset_id, **asdict(row)} for row in rows])


def complete(
    db: Session, dataset_id: UUID, *, fingerprint: str, class_names: list[str], shape: list[int]
) -> Dataset:
    """End an import: the dataset is ready, or the duplicate of one with the same content.

    Raises:
        NameTaken: a dataset of this name is ready, and its content is different.
    """
    dataset = db.get_one(Dataset, dataset_id)
    twin = db.scalar(
        select(Dataset).where(
            Dataset.fingerprint == fingerprint, Dataset.state == DatasetState.READY
        )
    )
    dataset.fingerprint = fingerprint
    dataset.row_version += 1
    if twin is not None:
        begin_rows(db, dataset_id)
        dataset.state, dataset.same_as = DatasetState.DUPLICATE, twin.id
        return twin
    splits = select(Sample.split, func.count()).where(Sample.dataset_id == dataset_id)
    dataset.counts = dict(db.execute(splits.group_by(Sample.split)).all())
    dataset.class_names, dataset.shape = class_names, shape
    dataset.state, name = DatasetState.READY, dataset.name
    try:
        db.flush()
    except IntegrityError as error:
        raise NameTaken(
            f"Another dataset named {name!r} has different content; choose another name."
        ) from error
    look_over(db)
    return dataset


def look_over(db: Session) -> None:
    """Have PostgreSQL count what a bulk load has brought: until then it reads all to find ten."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(text("ANALYZE samples"))


def give_up(db: Session, dataset_id: UUID) -> None:
    """Mark an import as failed and drop its rows."""
    begin_rows(db, dataset_id)
    db.execute(
        update(Dataset)
        .where(Dataset.id == dataset_id)
        .values(state=DatasetState.FAILED, row_version=Dataset.row_version + 1)
    )


def shards(db: Session, dataset_id: UUID) -> list[Shard]:
    """The packed files, in the order of their rows."""
    return list(
        db.scalars(select(Shard).where(Shard.dataset_id == dataset_id).order_by(Shard.number))
    )


def columns(
    db: Session, dataset_id: UUID, names: Sequence[str]
) -> "tuple[array[int], array[int], array[int]]":
    """Of every row, by position: its label, its split's place in `names`, and whose it is.

    That is the first position of its subject, or its own where it has none (int64, as labels are).
    """
    labels, splits, people = array("q"), array("B"), array("q")
    place, first = {name: i for i, name in enumerate(names)}, dict[str, int]()
    rows = select(Sample.label, Sample.split, Sample.subject)
    rows = rows.where(Sample.dataset_id == dataset_id).order_by(Sample.position)
    at_once = {"yield_per": FETCHED}  # a million rows must not be a million objects
    for label, split, subject in db.execute(rows, execution_options=at_once):
        people.append(len(labels) if subject is None else first.setdefault(subject, len(labels)))
        labels.append(label)
        splits.append(place[split])
    return labels, splits, people


def forgotten(db: Session, dataset_id: UUID) -> list[int]:
    """Positions of all samples that any request has had forgotten, ascending."""
    return list(
        db.scalars(
            select(Sample.position)
            .where(Sample.dataset_id == dataset_id, Sample.forgotten_by.is_not(None))
            .order_by(Sample.position)
        )
    )


def erased(db: Session, dataset_id: UUID) -> list[int]:
    """Positions of all samples whose pixels have been overwritten, ascending."""
    gone = Sample.dataset_id == dataset_id, Sample.erased_at.is_not(None)
    return list(db.scalars(select(Sample.position).where(*gone).order_by(Sample.position)))


def withdrawn(db: Session, dataset_id: UUID) -> list[int]:
    """Positions of all samples that must not be read any more, ascending."""
    gone = Sample.dataset_id == dataset_id, Sample.withdrawn_at.is_not(None)
    named = select(Sample.position).where(*gone, Sample.forgotten_by.is_not(None))  # has an index
    return list(db.scalars(named.order_by(Sample.position)))


def sizes(db: Session, dataset_id: UUID) -> dict[str, int]:
    """Bytes of each packed file, by its digest."""
    mine = select(Blob.digest, Blob.size).join(Shard, Shard.digest == Blob.digest)
    return dict(db.execute(mine.where(Shard.dataset_id == dataset_id)).all())


def positions_of(db: Session, dataset_id: UUID, sample_ids: Sequence[str]) -> dict[str, int]:
    """Where these samples lie; unknown ones are absent."""
    from_ids = in_dataset(db, dataset_id, sample_ids)
    return dict(db.execute(from_ids).all())


def in_dataset(db: Session, dataset_id: UUID, sample_ids: Sequence[str]) -> Select[str, int]:
    """The query for (sample_id, position) of these samples: one parameter for all of them."""
    known = among(Sample.sample_id, sample_ids, db.get_bind().dialect.name)
    return select(Sample.sample_id, Sample.position).where(Sample.dataset_id == dataset_id, known)


def page(db: Session, after: UUID | None, limit: int) -> list[Dataset]:
    """Newest first."""
    query = select(Dataset).order_by(Dataset.id.desc()).limit(limit)
    return list(db.scalars(query.where(Dataset.id < after) if after else query))


def sample_page(
    db: Session,
    dataset_id: UUID,
    *,
    after: int,
    limit: int,
    subject: str | None = None,
    label: int | None = None,
    split: str | None = None,
    forgotten: bool | None = None,
) -> list[Sample]:
    """Samples in the order of their rows, from after position `after`."""
    query = select(Sample).where(Sample.dataset_id == dataset_id, Sample.position > after)
    for column, value in (
        (Sample.subject, subject),
        (Sample.label, label),
        (Sample.split, split),
    ):
        if value is not None:
            query = query.where(column == value)
    if forgotten is not None:
        was = Sample.forgotten_by.is_not(None)
        query = query.where(was if forgotten else ~was)
    return list(db.scalars(query.order_by(Sample.position).limit(limit)))
