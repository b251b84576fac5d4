"""Certificates of methods: ordered, decided by a job, and found for the requests that they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from models_store import choices, events, jobs, lineage, offers, pools, versions
from models_store.columns import now
from models_store.errors import InvalidParams, NoRecipe, NotFound
from models_store.life import Goal, Grant, JobKind, Queue
from models_store.tables import Certificate, Job, Model, Offer, Sample, Version

DRIFT = 0.1
"""The share of the training rows that may have been forgotten since."""
PLANTED = 3
"""Rows that are planted for each that a shadow forgets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be certified: a method, for sets of so many samples, or for a class at a time."""

    method: str
    params: dict[str, Any]
    size: int | None = None
    """None for a class."""
    shadows: int

    @property
    def goal(self) -> Goal:
        """For which requests."""
        return Goal.CLASS if self.size is None else Goal.SAMPLES


# ---- ordered and seen ----------------------------------------------------------------------------


def order(db: Session, model: Model, wanted: Order, actor: str) -> Certificate:
    """Open the job that decides on a certificate for a method on models such as this one.

    Raises:
        NotReady: the model serves no version.
        NoRecipe: it is not known how the served line was trained.
        InvalidParams: the method cannot be tried so, or on so few images.
    """
    root, served = pools.root_of(db, model), versions.get(db, model.id, "active")
    if root.recipe is None:
        raise NoRecipe(
            f"Shadows of {model.name!r} are trained as it was, but the version that it serves goes "
            "back to weights that were registered without their recipe."
        )
    choice = choices.by_name(db, model, wanted.goal, wanted.method, wanted.params, None)
    choices.refuse_impossible(db, choice, model, root, served)
    offer = offers.check(db, "method", choice.method, choice.params)
    if "updates" in offer.needs:
        raise InvalidParams(
            f"{offer.name} takes back the log of a training, and shadows keep none."
        )
    if wanted.size is not None and 2 * PLANTED * wanted.size > (left := left_of(db, model, root)):
        raise InvalidParams(
            f"{PLANTED} rows are planted for each that is forgotten, and half of the training rows "
            f"must stay as they are: of {left} that gives sets of {left // (2 * PLANTED)} at most."
        )
    job = jobs.open_job(
        db, JobKind.CERTIFY, Queue.EXACT, task={"root": root.number},
        model_id=model.id, dataset_id=model.dataset_id,
    )  # fmt: skip
    job.method = choice.method
    row = Certificate(
        job_id=job.id, model_id=model.id, dataset_id=model.dataset_id,
        key=pools.key_of(db, model, root), architecture=model.architecture, method=choice.method,
        params=_whole(offer, choice.params), goal=wanted.goal, size=wanted.size or 1,
        shadows=wanted.shadows,
    )  # fmt: skip
    db.add(row)
    db.flush()
    db.refresh(row)
    events.append(
        db, "certificate.ordered", chain=model.id, actor=actor, job_id=job.id,
        certificate=str(row.id), method=row.method, goal=row.goal, size=row.size,
    )  # fmt: skip
    return row


def left_of(db: Session, model: Model, root: Version) -> int:
    """How many training rows nobody has had forgotten."""
    mine = lineage.seen_rows(db, root, model.dataset_id).where(Sample.forgotten_by.is_(None))
    return db.scalar(select(func.count()).select_from(mine.subquery())) or 0


def _whole(offer: Offer, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters with the method's defaults, so that alike is told alike."""
    known = offer.schema.get("properties", {})
    return {name: each["default"] for name, each in known.items() if "default" in each} | params


def get(db: Session, certificate_id: UUID) -> tuple[Certificate, Job]:
    """With its job. Raises `NotFound`."""
    row = db.get(Certificate, certificate_id)
    if row is None:
        raise NotFound(f"There is no certificate {certificate_id}.")
    return row, jobs.get(db, row.job_id)


def page(
    db: Session,
    after: UUID | None,
    limit: int,
    *,
    model_id: UUID | None = None,
    method: str | None = None,
    goal: Goal | None = None,
    verdict: Grant | None = None,
) -> Sequence[tuple[Certificate, Job]]:
    """Newest first, each with its job."""
    query = select(Certificate, Job).join(Job, Job.id == Certificate.job_id)
    query = query.order_by(Certificate.id.desc()).limit(limit)
    for column, value in (
        (Certificate.model_id, model_id),
        (Certificate.method, method),
        (Certificate.goal, goal),
        (Certificate.verdict, verdict),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Certificate.id < after)
    return [(row, job) for row, job in db.execute(query)]


# ---- what they cover -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a method was used, for a certificate to cover it or not."""

    method: str
    params: dict[str, Any]
    prune: dict[str, Any] | None
    goal: Goal
    size: int
    """Samples that were forgotten together, or classes."""


def covering(db: Session, model: Model, root: Version, use: Use) -> Certificate | None:
    """The certificate that holds for this use of a method on a line that began with `root`, if any.

    It must be of the same net, normalisation, recipe and training rows, method and parameters, kind
    of request, and version of this software; for sets at least as large; not expired; and of the
    rows that its shadows drew from at most a tenth may have been forgotten since. What was refused
    holds until the same is granted anew, whatever was granted before.
    """
    offer = db.get(Offer, ("method", use.method))
    if use.prune is not None or root.recipe is None or offer is None:
        return None
    alive = or_(Certificate.verdict == Grant.REFUSED, Certificate.expires_at > now())
    mine = select(Certificate).where(
        Certificate.dataset_id == model.dataset_id,
        Certificate.key == pools.key_of(db, model, root),
        Certificate.method == use.method,
        Certificate.goal == use.goal,
        Certificate.software == version("lethe"),
        Certificate.verdict.in_((Grant.GRANTED, Grant.REFUSED)),
        alive,
    )
    params, left = _whole(offer, use.params), left_of(db, model, root)
    for row in db.scalars(mine.order_by(Certificate.id.desc())):
        if row.params != params:
            continue
        if row.verdict is Grant.REFUSED:
            return None
        assert row.trained is not None
        if row.size >= use.size and left >= (1 - DRIFT) * row.trained:
            return row
    return None
