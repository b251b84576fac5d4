"""Where a version comes from: what its line was trained on, and what it has forgotten since."""

import hashlib
from array import array
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select
from sqlalchemy.orm import Session, aliased

from models_store.columns import among, table
from models_store.life import RequestStatus, VersionState
from models_store.tables import (
    ForgetRequest,
    JobRequest,
    Model,
    RequestSample,
    Sample,
    Version,
    VersionSample,
)

STILL_MEANT = (RequestStatus.QUEUED, RequestStatus.RUNNING, RequestStatus.SUCCEEDED,
               RequestStatus.FAILED)  # fmt: skip
"""Requests that were neither withdrawn nor denied: what they name has to go."""


def line(db: Session, version: Version) -> list[Version]:
    """The version and its ancestors, down to the one that was imported or trained."""
    if version.parent is None:
        return [version]
    rows = db.scalars(
        select(Version).where(Version.model_id == version.model_id).order_by(Version.number)
    )
    by_number = {row.number: row for row in rows}
    found = [version]
    while (parent := found[-1].parent) is not None:
        found.append(by_number[parent])
    return found


def trained_on(root: Version, dialect: str) -> ColumnElement[bool]:
    """The condition on `Sample` for what an imported or trained version has seen."""
    if "splits" in root.trained_on:
        return among(Sample.split, root.trained_on["splits"], dialect)
    return _listed(root.model_id, root.number)


def seen(dialect: str, *, listed: bool) -> ColumnElement[bool]:
    """The same with the parameters of `root_of`, for statements that are put together once."""
    if listed:
        return _listed(bindparam("root_model"), bindparam("root_number"))
    return among(table(Sample).c.split, "splits", dialect)


def root_of(root: Version) -> dict[str, Any]:
    """What `seen` must know of an imported or trained version."""
    if "splits" in root.trained_on:
        return {"splits": root.trained_on["splits"]}
    return {"root_model": root.model_id, "root_number": root.number}


def _listed(model_id: Any, number: Any) -> ColumnElement[bool]:
    row, sample = table(VersionSample).c, table(Sample).c
    found = row.model_id == model_id, row.number == number, row.position == sample.position
    return exists().where(*found)


def covered(db: Session, version: Version) -> set[UUID]:
    """The requests whose samples this version has forgotten, by itself or an ancestor."""
    return set(db.scalars(_covered(line(db, version))))


def _covered(ancestors: list[Version]) -> Select[UUID]:
    """What failed its audit has forgotten no more than the version that it was made from."""
    left_out = [UUID(one) for one in ancestors[-1].trained_on.get("except_requests", [])]
    if ancestors[0].state is VersionState.QUARANTINED:
        ancestors = ancestors[1:]
    jobs = [v.job_id for v in ancestors if v.job_id is not None]
    served = select(JobRequest.request_id).where(JobRequest.job_id.in_(jobs))
    met = aliased(ForgetRequest)
    return select(met.id).where(or_(met.id.in_(served), met.id.in_(left_out)))


def keeps(db: Session, version: Version) -> ColumnElement[bool]:
    """The condition on `Sample` for what the version's line has seen and not forgotten since."""
    ancestors, named = line(db, version), aliased(RequestSample)
    forgotten = exists().where(
        named.dataset_id == Sample.dataset_id,
        named.position == Sample.position,
        named.request_id.in_(_covered(ancestors)),
    )
    return and_(trained_on(ancestors[-1], db.get_bind().dialect.name), ~forgotten)


def remembered(db: Session, version: Version, *, elsewhere: bool = False) -> list[UUID]:
    """Requests, not withdrawn, that name samples which this version was trained on and keeps.

    Those on its own model; with `elsewhere`, those on other models of its dataset.
    """
    model = db.get_one(Model, version.model_id)
    own = ForgetRequest.model_id == model.id
    unmet = (
        select(ForgetRequest.id)
        .join(Model, Model.id == ForgetRequest.model_id)
        .where(
            Model.dataset_id == model.dataset_id,
            ~own if elsewhere else own,
            ForgetRequest.status.in_(STILL_MEANT),
            ForgetRequest.id.not_in(_covered(line(db, version))),
        )
    )
    kept = (
        select(RequestSample.request_id)
        .join(
            Sample,
            (Sample.dataset_id == RequestSample.dataset_id)
            & (Sample.position == RequestSample.position),
        )
        .where(RequestSample.request_id.in_(unmet), keeps(db, version))
        .distinct()
    )
    return sorted(db.scalars(kept))


def remembers_erased(db: Session, version: Version) -> bool:
    """Was it trained on images whose pixels have been overwritten since, and keeps them?"""
    dataset = select(Model.dataset_id).where(Model.id == version.model_id).scalar_subquery()
    erased = exists().where(
        Sample.dataset_id == dataset, Sample.erased_at.is_not(None), keeps(db, version)
    )
    return bool(db.scalar(select(erased)))


def training_rows(db: Session, root: Version, dataset_id: UUID) -> list[int]:
    """Positions that the imported or trained version `root` has seen, ascending."""
    return list(db.scalars(seen_rows(db, root, dataset_id).order_by(Sample.position)))


def origin(db: Session, root: Version, dataset_id: UUID) -> dict[str, Any]:
    """What `root` was trained on, so told that versions which were told alike saw the same rows."""
    if "splits" in root.trained_on:
        left_out = root.trained_on.get("except_requests", [])
        return {"splits": sorted(root.trained_on["splits"]), "except_requests": sorted(left_out)}
    rows = array("q", training_rows(db, root, dataset_id))
    return {"rows": hashlib.sha256(rows.tobytes()).hexdigest()}


def seen_rows(db: Session, root: Version, dataset_id: UUID) -> Select[int]:
    """The query for positions that the imported or trained version `root` has seen."""
    seen = trained_on(root, db.get_bind().dialect.name)
    rows = select(Sample.position).where(Sample.dataset_id == dataset_id, seen)
    if root.trained_on.get("except_requests"):
        left_out = [UUID(request) for request in root.trained_on["except_requests"]]
        rows = rows.where(
            ~exists().where(
                RequestSample.request_id.in_(left_out),
                RequestSample.dataset_id == Sample.dataset_id,
                RequestSample.position == Sample.position,
            )
        )
    return rows


def named_requests(db: Session, dataset_id: UUID) -> list[UUID]:
    """All requests on models of this dataset that were neither withdrawn nor denied."""
    return list(
        db.scalars(
            select(ForgetRequest.id)
            .join(Model, Model.id == ForgetRequest.model_id)
            .where(Model.dataset_id == dataset_id, ForgetRequest.status.in_(STILL_MEANT))
            .order_by(ForgetRequest.id)
        )
    )
