"""`/models/{id}/tunings`, `/models/{id}/tuned`: parameters tried on a model, and taken over for it."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, model_validator

from app.auth import Owner
from app.negotiation import choose
from app.openapi import follow
from app.paging import page
from app.problems import BadPageToken, NotAcceptable, refusals
from app.routes.plans import Prediction
from app.wire import In, Name, Out, Page, PageSize, PageToken, Small, TheRelay, TheStore, tagged
from models_store import choices, desk, recipe_files, registry, tunings
from models_store.errors import (
    InvalidParams,
    InvalidTransition,
    NoRecipe,
    NotFound,
    NotReady,
    UnknownSamples,
)
from models_store.life import JOB_ENDED, Goal, JobStatus
from models_store.tables import Job, Model
from models_store.tunings import Order

router = APIRouter(prefix="/models/{model}", tags=["models"])

JSON, TOML = "application/json", "application/toml"


class TuningIn(In):
    """What is to be tuned, and what is forgotten in rehearsal: a class or some samples."""

    method: Name
    """A name from `GET /methods` whose `traits` say `tunable`."""
    label: Annotated[Small | str | None, Field(alias="class", examples=[4, "deer"])] = None
    """The number or name of a class, for requests that name classes."""
    samples: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    """So many, for all other requests; the dataset needs a hold-out."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.label is None) == (self.samples is None):
            raise ValueError("give either `class` or `samples`")
        return self


class TrialOut(Out):
    """One try, at half the epochs."""

    number: int
    """From 0, which takes the method's own defaults."""
    params: dict[str, Any]
    """What differs from the defaults."""
    figures: dict[str, float]
    """Shares of images, each beside its `target`."""
    gap: float
    """The mean distance of the figures from their targets; the smaller the better."""
    seconds: float


class TuningOut(Out):
    """A tuning."""

    id: UUID
    """Of its job."""
    model: UUID
    method: str
    goal: Goal
    """For which requests it looks."""
    rehearsed: dict[str, Any]
    """The `label` of the class, or the `size` of the forget set."""
    base_version: int
    status: JobStatus
    prediction: Prediction | None
    """What all tries together should take; none where no worker is there that has measured the net."""
    seconds: float | None
    """What the method took in all tries, once it has succeeded."""
    params: dict[str, Any] | None
    """The best, once it has succeeded."""
    gap: float | None
    gap_of_defaults: float | None
    target: dict[str, float] | None
    """What the figures should come to."""
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job, **more: Any) -> Self:
        """From the store's rows, and what a subclass adds."""
        result = job.result or {}
        rehearsed = {name: job.task[name] for name in ("label", "size") if name in job.task}
        names = ("seconds", "params", "gap", "gap_of_defaults", "target")
        told = {name: result.get(name) for name in names}
        row = {**vars(job), "model": job.model_id, "goal": tunings.goal_of(job)}
        return cls.model_validate({**row, "rehearsed": rehearsed, **told, **more})


class TuningDetail(TuningOut):
    """A tuning with all that was tried."""

    trials: list[TrialOut]


class TunedOut(Out):
    """What methods take on a model where nobody names parameters; also as a recipe file."""

    recipe: str | None
    """The recipe file that fits the model: it counts where nothing was adopted."""
    adopted: dict[Goal, dict[str, dict[str, Any]]]
    """Parameters by goal and method, beside the method's own defaults."""


@router.post(
    "/tunings",
    status_code=202,
    response_model=TuningOut,
    responses={
        **follow("show_job", "job_id"),
        **refusals(NotFound, NotReady, UnknownSamples, InvalidParams, NoRecipe, "validation"),
    },
)
def order_tuning(
    model: str, body: TuningIn, request: Request, store: TheStore, relay: TheRelay, owner: Owner
) -> Response:
    """Try a few parameters of a method on what the model serves; nothing of it is published."""
    wanted = Order(method=body.method, label=body.label, size=body.samples)
    with store.begin() as db:
        found = registry.get(db, model, lock=True)
        out = TuningOut.of(tunings.order(db, found, wanted, owner))
    relay.wake()
    return tagged(request, out, status=202, retry_after=2, Location=f"/jobs/{out.id}")


@router.get("/tunings", responses=refusals(NotFound, BadPageToken))
def list_tunings(
    model: str, store: TheStore, page_size: PageSize = 50, page_token: PageToken = None
) -> Page[TuningOut]:
    """The tunings of a model, newest first."""
    with store.read() as db:
        found = registry.get(db, model)
        rows, following = page(
            lambda after, limit: tunings.page(db, found, after, limit),
            lambda row: row.id,
            UUID,
            size=page_size,
            token=page_token,
            filters={"model": found.id},
        )
    return Page(items=[TuningOut.of(row) for row in rows], next_page_token=following)


@router.get("/tunings/{tuning}", response_model=TuningDetail, responses=refusals(NotFound))
def show_tuning(model: str, tuning: UUID, request: Request, store: TheStore) -> Response:
    """A tuning with every try so far."""
    with store.read() as db:
        job = tunings.get(db, registry.get(db, model), tuning)
        tried = [TrialOut.model_validate(trial) for trial in tunings.trials(db, job.id)]
    out = TuningDetail.of(job, trials=tried)
    return tagged(request, out, retry_after=None if job.status in JOB_ENDED else 2)


@router.post(
    "/tunings/{tuning}/cancel",
    response_model=TuningOut,
    responses=refusals(NotFound, InvalidTransition),
)
def cancel_tuning(
    model: str, tuning: UUID, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Withdraw a tuning; one that runs stops at its next step."""
    with store.begin() as db:
        job = tunings.get(db, registry.get(db, model, lock=True), tuning)
        left = desk.withdraw(db, job, "tuning", owner)
        out = TuningOut.of(job)
    for digest in left:
        store.blobs.drop(digest)
    return tagged(request, out)


@router.post(
    "/tunings/{tuning}/adopt",
    response_model=TunedOut,
    responses=refusals(NotFound, InvalidTransition),
)
def adopt_tuning(
    model: str, tuning: UUID, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Let the model take the best parameters wherever nobody names any."""
    with store.begin() as db:
        found = registry.get(db, model, lock=True)
        tunings.adopt(db, found, tunings.get(db, found, tuning), owner)
        out = _tuned(db, found)
    return tagged(request, out)


@router.get(
    "/tuned",
    response_model=TunedOut,
    responses={
        200: {"content": {TOML: {"schema": {"type": "string"}}}},
        **refusals(NotFound, NotAcceptable),
    },
)
def show_tuned(model: str, request: Request, store: TheStore) -> Response:
    """What was adopted for a model: JSON, or by `Accept` a recipe file, TOML."""
    media = choose(request.headers.get("accept"), [JSON, TOML])
    with store.read() as db:
        found = registry.get(db, model)
        if media == TOML:
            text = recipe_files.dump(tunings.recipe_of(db, found))
            return Response(text, media_type=TOML, headers={"Vary": "Accept"})
        out = _tuned(db, found)
    return tagged(request, out, Vary="Accept")


@router.delete("/tuned/{goal}/{method}", response_model=TunedOut, responses=refusals(NotFound))
def drop_tuned(
    model: str, goal: Goal, method: str, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Take parameters back that were adopted."""
    with store.begin() as db:
        found = registry.get(db, model, lock=True)
        tunings.drop(db, found, goal, method, owner)
        out = _tuned(db, found)
    return tagged(request, out)


def _tuned(db: Any, model: Model) -> TunedOut:
    fits, own = choices.fitting(db, model), tunings.recipe_of(db, model)
    adopted = {
        goal: {method: each.params for method, each in methods.items()}
        for goal, methods in own.tuned.items()
    }
    return TunedOut(recipe=fits, adopted=adopted)
