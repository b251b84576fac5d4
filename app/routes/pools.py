"""`/models/{id}/pool`: reference models, by which tier 1 of the audit tells what is normal."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, field_validator

from app.auth import Owner
from app.openapi import follow
from app.problems import refusals
from app.wire import In, Out, Small, TheRelay, TheStore, tagged
from models_store import pools, registry
from models_store.errors import NoRecipe, NotFound, NotReady, UnknownSamples
from models_store.life import MemberKind, MemberState
from models_store.pools import Retrains

router = APIRouter(prefix="/models/{model}", tags=["models"])


class RetrainsIn(In):
    """So many nets trained without a class."""

    label: Annotated[Small | str, Field(alias="class", examples=[4, "deer"])]
    """Its number or its name."""
    size: Annotated[int, Field(ge=1, le=64)] = 5


class PoolIn(In):
    """The size that a pool is to be brought to; what is there already counts."""

    size: Annotated[int, Field(ge=0, le=64)] = 8
    """How many nets trained on random halves, an even number; an audit needs at least 6."""
    retrains: Annotated[list[RetrainsIn], Field(max_length=1000)] = Field(default_factory=list)
    """Nets trained without a class, for requests that name it; the tests need at least 5."""

    @field_validator("size")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("halves come in pairs: give an even number")
        return value


class PoolJob(Out):
    """The job that builds."""

    id: UUID
    model: UUID


class MemberOut(Out):
    """One trained net, by what is kept of it."""

    id: UUID
    kind: MemberKind
    """`half`: trained on a random half; only its margins are kept. `retrain`: without a class."""
    label: int | None
    """The class that a `retrain` has not seen."""
    draw: int
    """Two halves of one draw are each other's complement."""
    seed: int
    state: MemberState
    """`retired`: it has seen what had to be forgotten, and takes part in no audit any more."""
    provenance: dict[str, Any]
    created_at: datetime
    retired_at: datetime | None
    erased_at: datetime | None


class PoolOut(Out):
    """A reference pool; all models of the same dataset, net, normalisation and recipe share it."""

    id: UUID
    dataset_id: UUID
    architecture: str
    parameters: dict[str, Any]
    recipe: dict[str, Any]
    created_at: datetime
    usable: bool
    """Are there enough halves for an audit to lean on?"""
    ready: dict[str, Any]
    """How many `halves` are ready, and how many `retrains` by class."""
    job: UUID | None
    """The job that is building it."""
    members: list[MemberOut]


@router.post(
    "/pool",
    status_code=202,
    response_model=PoolJob,
    responses={
        **follow("show_job", "job_id"),
        **refusals(NotFound, NotReady, NoRecipe, UnknownSamples, "validation"),
    },
)
def build_pool(
    model: str, body: PoolIn, request: Request, store: TheStore, relay: TheRelay, owner: Owner
) -> Response:
    """Have reference models trained, as the model itself was; each is kept as soon as it is done."""
    retrains = [Retrains(label=each.label, size=each.size) for each in body.retrains]
    with store.begin() as db:
        found = registry.get(db, model, lock=True)
        job = pools.order(db, found, body.size, retrains, owner)
        out = PoolJob(id=job.id, model=found.id)
    relay.wake()
    return tagged(request, out, status=202, retry_after=2, Location=f"/jobs/{job.id}")


@router.get("/pool", response_model=PoolOut, responses=refusals(NotFound, NotReady))
def show_pool(model: str, request: Request, store: TheStore) -> Response:
    """The reference pool of a model, with all members it ever had."""
    with store.read() as db:
        pool = pools.of_model(db, registry.get(db, model))
        members = pools.members(db, pool.id)
        job = pools.building(db, pool)
    ready = pools.ready(members)
    out = PoolOut.model_validate(
        {
            **vars(pool),
            "usable": ready["halves"] >= pools.LEAST,
            "ready": ready,
            "job": job.id if job else None,
            "members": [MemberOut.model_validate(member) for member in members],
        }
    )
    return tagged(request, out, retry_after=2 if job else None)
