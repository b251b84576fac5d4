"""Models by name, and the numbers that their versions get."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, bindparam, cast, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from models_store import datasets, events, offers
from models_store.errors import InvalidParams, NameTaken, NotFound
from models_store.life import Lane
from models_store.policy import Policy
from models_store.tables import Model

BY_ID, BY_NAME = (select(Model).where(c == bindparam("which")) for c in (Model.id, Model.name))
"""Put together once: every call that names a model asks one of them."""


@cache
def _locking(dialect: str, query: Select[Model]) -> Select[Any]:
    """The same with the model's row locked, and then its chain of events: in this order always."""
    if dialect != "postgresql":  # there is one writer anyway
        return query
    row = query.with_for_update().cte("locked")
    chain = func.hashtextextended(cast(row.c.id, Text), 0)
    return select(aliased(Model, row), func.pg_advisory_xact_lock(chain))


@dataclass(frozen=True, slots=True)
class NewModel:
    """What it takes to register a model."""

    name: str
    architecture: str
    parameters: dict[str, Any]
    dataset: str
    mean: list[float]
    std: list[float]
    policy: dict[str, Any]


def register(db: Session, new: NewModel, actor: str) -> Model:
    """Register a model without weights yet.

    Raises:
        NotFound, NotReady: the dataset.
        InvalidParams: no worker offers the architecture, or not with these parameters.
        NameTaken: another model has the name.
    """
    dataset = datasets.get_ready(db, new.dataset)
    offers.check(db, "net", new.architecture, new.parameters)
    channels = int(dataset.shape[2])
    for word, values in (("mean", new.mean), ("std", new.std)):
        if len(values) != channels:
            raise InvalidParams(
                f"`{word}` has {len(values)} numbers, but the images of {dataset.name!r} have "
                f"{channels} channels: give one number for each."
            )
    model = Model(
        name=new.name,
        architecture=new.architecture,
        parameters=new.parameters,
        dataset_id=dataset.id,
        mean=new.mean,
        std=new.std,
        policy=new.policy,
    )
    try:
        with db.begin_nested():
            db.add(model)
    except IntegrityError:
        raise NameTaken(f"A model named {new.name!r} exists already.") from None
    db.refresh(model)
    events.append(db, "model.registered", chain=model.id, actor=actor, name=model.name)
    return model


def get(db: Session, id_or_name: str, *, lock: bool = False) -> Model:
    """By id or by name; locked, nobody else changes its requests, versions or chain. `NotFound`."""
    which: UUID | str
    try:
        query, which = BY_ID, UUID(id_or_name)
    except ValueError:
        query, which = BY_NAME, id_or_name
    if lock:
        query = _locking(db.get_bind().dialect.name, query)
    found: Model | None = db.scalar(query, {"which": which})
    if found is None:
        raise NotFound(f"There is no model {id_or_name!r}.")
    return found


def locked(db: Session, model_id: UUID) -> Model:
    """The model, its row locked until the end of the transaction."""
    return db.scalars(
        select(Model)
        .where(Model.id == model_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def policy_of(model: Model) -> Policy:
    """The model's policy, defaults filled in."""
    return Policy.model_validate(model.policy)


def set_policy(db: Session, model: Model, policy: Policy, actor: str) -> None:
    """Replace the policy; jobs that run keep the one they started with."""
    _check(db, policy)
    model.policy = policy.model_dump(mode="json")
    model.row_version += 1
    events.append(db, "model.policy_set", chain=model.id, actor=actor, policy=model.policy)


def _check(db: Session, policy: Policy) -> None:
    """Raises `InvalidParams` where nobody offers what a rung names, or not with such parameters."""
    for rungs in (policy.for_class, policy.for_samples):
        for step in map(rungs.at, Lane):
            method = offers.check(db, "method", step.method, step.params)
            if step.prune is not None:
                offers.check_pruner(db, step.prune.model_dump(mode="json"), method)


def page(db: Session, after: UUID | None, limit: int) -> list[Model]:
    """Newest first."""
    query = select(Model).order_by(Model.id.desc()).limit(limit)
    return list(db.scalars(query.where(Model.id < after) if after else query))
