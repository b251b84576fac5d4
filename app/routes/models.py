"""`/models`: what is trained on a dataset, how it is trained, and by which policy it forgets."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.auth import Owner
from app.openapi import follow
from app.paging import newest
from app.problems import BadPageToken, refusals
from app.wire import In, Json, Name, Out, Page, PageSize, PageToken, TheRelay, TheStore, tagged
from models_store import intake, registry
from models_store.errors import InvalidParams, NameTaken, NotFound, NotReady
from models_store.policy import Policy
from models_store.registry import NewModel

router = APIRouter(prefix="/models", tags=["models"])

Finite = Annotated[float, Field(allow_inf_nan=False)]


class ModelIn(In):
    """A model without weights; upload a version or train one next."""

    name: Name
    architecture: Annotated[str, Field(min_length=1, max_length=200, examples=["all_cnn"])]
    """A name from `GET /nets`."""
    parameters: Json = Field(default_factory=dict)
    """Of the architecture."""
    dataset: Annotated[str, Field(min_length=1, max_length=200)]
    """Id or name."""
    mean: list[Finite]
    """Of each channel, of pixels in [0, 1]: subtracted before the first layer."""
    std: list[Annotated[Finite, Field(gt=0)]]
    """Of each channel: divided by before the first layer."""
    policy: Policy = Policy()


class ModelOut(Out):
    """A model; its weights are its versions."""

    id: UUID
    name: str
    architecture: str
    parameters: dict[str, Any]
    dataset_id: UUID
    mean: list[float]
    std: list[float]
    policy: dict[str, Any]
    created_at: datetime


class TrainIn(In):
    """How to train; the recipe is recorded, so that retraining can do the same again."""

    recipe: Json = Field(default_factory=dict)
    """Its defaults and bounds are those of the worker."""
    seed: Annotated[int, Field(ge=0, lt=2**62)] | None = None
    log_updates: bool = False
    """Keep what every update changed, for `amnesiac`: as many bytes as the weights, for each."""


class TrainOut(Out):
    """The job that trains."""

    id: UUID
    model: UUID
    seed: int


@router.post(
    "",
    status_code=201,
    response_model=ModelOut,
    responses=refusals(NotFound, NotReady, NameTaken, InvalidParams, "validation"),
)
def register_model(body: ModelIn, request: Request, store: TheStore, owner: Owner) -> Response:
    """Register a model; its architecture and dataset are checked at once."""
    new = NewModel(
        name=body.name,
        architecture=body.architecture,
        parameters=body.parameters,
        dataset=body.dataset,
        mean=body.mean,
        std=body.std,
        policy=body.policy.model_dump(mode="json"),
    )
    with store.begin() as db:
        model = registry.register(db, new, owner)
        out = ModelOut.model_validate(model)
    return tagged(request, out, status=201, Location=f"{router.prefix}/{model.id}")


@router.get("", responses=refusals(BadPageToken))
def list_models(
    store: TheStore, page_size: PageSize = 50, page_token: PageToken = None
) -> Page[ModelOut]:
    """Models, newest first."""
    with store.read() as db:
        return newest(
            lambda after, limit: registry.page(db, after, limit), ModelOut, page_size, page_token
        )


@router.get("/{model}", response_model=ModelOut, responses=refusals(NotFound))
def show_model(model: str, request: Request, store: TheStore) -> Response:
    """A model by id or name."""
    with store.read() as db:
        out = ModelOut.model_validate(registry.get(db, model))
    return tagged(request, out)


@router.post(
    "/{model}/train",
    status_code=202,
    response_model=TrainOut,
    responses={**follow("show_job", "job_id"), **refusals(NotFound, InvalidParams, "validation")},
)
def train_model(
    model: str, body: TrainIn, request: Request, store: TheStore, relay: TheRelay, owner: Owner
) -> Response:
    """Train a new version from the start, on what nobody has had forgotten."""
    with store.begin() as db:
        found = registry.get(db, model)
        job = intake.open_training(
            db, found, body.recipe, body.seed, owner, log_updates=body.log_updates
        )
        out = TrainOut(id=job.id, model=found.id, seed=job.seed)
    relay.wake()
    return tagged(request, out, status=202, retry_after=2, Location=f"/jobs/{job.id}")


@router.get("/{model}/policy", response_model=Policy, responses=refusals(NotFound))
def show_policy(model: str, request: Request, store: TheStore) -> Response:
    """Ladder, gates, retention; defaults filled in."""
    with store.read() as db:
        policy = registry.policy_of(registry.get(db, model))
    return tagged(request, policy)


@router.put(
    "/{model}/policy",
    response_model=Policy,
    responses=refusals(NotFound, InvalidParams, "validation"),
)
def set_policy(
    model: str, body: Policy, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Replace the policy; jobs that run keep the one they started with."""
    with store.begin() as db:
        found = registry.get(db, model, lock=True)
        registry.set_policy(db, found, body, owner)
    return tagged(request, body)
