"""`/models/{id}/versions`: weights in, weights out, and which of them is served."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from pydantic import Field, model_validator

from app.auth import Owner
from app.paging import page
from app.problems import BadPageToken, BadRange, MalformedBody, WrongMediaType, refusals
from app.ranges import keep_satisfiable
from app.uploads import Form, described, received
from app.wire import (
    Identifier,
    In,
    Json,
    Out,
    Page,
    PageSize,
    PageToken,
    TheRelay,
    TheStore,
    is_known,
    tagged,
)
from models_store import formats, intake, registry, versions
from models_store.errors import (
    InvalidParams,
    InvalidTransition,
    NotFound,
    RemembersErased,
    StorageFull,
    TooLarge,
    UnknownSamples,
    UnsafeFormat,
    VersionRevoked,
)
from models_store.intake import Origin
from models_store.life import VersionState
from models_store.store import Store
from models_store.tables import Job, Model, Version

router = APIRouter(prefix="/models/{model}/versions", tags=["models"])

Split = Annotated[str, Field(min_length=1, max_length=16)]


class TrainedOn(In):
    """What the weights have seen: whole splits, or a list of samples."""

    splits: Annotated[list[Split], Field(min_length=1, max_length=10)] | None = None
    sample_ids: Annotated[list[Identifier], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.splits is None) == (self.sample_ids is None):
            raise ValueError("give either `splits` or `sample_ids`")
        return self


class VersionIn(In):
    """Where the weights come from."""

    trained_on: TrainedOn = TrainedOn(splits=["train"])
    recipe: Json | None = None
    """How they were trained, if that is known: without it, exact unlearning is refused."""

    def origin(self) -> Origin:
        """As the store takes it."""
        named = self.trained_on
        splits, sample_ids = tuple(named.splits or ()), tuple(named.sample_ids or ())
        return Origin(splits=splits, sample_ids=sample_ids, recipe=self.recipe)


class VersionOut(Out):
    """Immutable weights of a model, with where they come from."""

    model_id: UUID
    number: int
    state: VersionState
    assured: bool
    """Has it passed its policy's gates?"""
    parent: int | None
    digest: str
    """SHA-256 of the weights file."""
    size: int
    method: str
    """`import`, `train`, or the method that made it."""
    params: dict[str, Any]
    prune: dict[str, Any] | None
    """By what the version, or one before it, became sparse; those zeros have stayed."""
    updates: str | None
    """SHA-256 of the log of its training, where one was asked for."""
    trained_on: dict[str, Any]
    recipe: dict[str, Any] | None
    provenance: dict[str, Any]
    """Seeds, versions of code and libraries, device."""
    created_at: datetime
    superseded_at: datetime | None
    revoked_at: datetime | None
    erased_at: datetime | None


class NewVersion(VersionOut):
    """A version that is being checked."""

    job: UUID
    """The job that checks and audits it."""


@router.post(
    "",
    status_code=202,
    response_model=NewVersion,
    responses={
        202: {"description": "Accepted; follow `Location`, or its job."},
        **refusals(
            MalformedBody, NotFound, TooLarge, UnsafeFormat, WrongMediaType,
            UnknownSamples, InvalidParams, "validation", StorageFull,
        ),
    },
    openapi_extra=described(VersionIn),
)  # fmt: skip
async def register_version(
    model: str, request: Request, store: TheStore, relay: TheRelay, owner: Owner
) -> Response:
    """Upload weights as safetensors; a job checks and audits them before they are served."""
    version, job = await received(
        request, store.settings, lambda form: _take_in(store, model, owner, form)
    )
    relay.wake()
    out = NewVersion.model_validate({**vars(version), "job": job.id})
    location = f"/models/{version.model_id}/versions/{version.number}"
    return tagged(request, out, status=202, retry_after=2, Location=location)


def _take_in(store: Store, model: str, owner: str, form: Form) -> tuple[Version, Job]:
    origin = form.meta(VersionIn).origin()
    if len(origin.sample_ids) > store.settings.max_sample_ids:
        limit = store.settings.max_sample_ids
        raise TooLarge(f"`sample_ids` names more than {limit} samples; name a split.", limit=limit)
    with store.read() as db:  # refuse before gigabytes are sent
        intake.check_origin(db, registry.get(db, model), origin)
    kept = store.blobs.take_in(form.file(), store.settings.max_upload_bytes, formats.read_header)
    with store.begin() as db:
        found = registry.get(db, model)
        return intake.register_version(db, found, kept, origin, owner)


@router.get("", responses=refusals(NotFound, BadPageToken))
def list_versions(
    model: str, store: TheStore, page_size: PageSize = 50, page_token: PageToken = None
) -> Page[VersionOut]:
    """The versions of a model, newest first."""
    with store.read() as db:
        found = registry.get(db, model)
        rows, following = page(
            lambda after, limit: versions.page(db, found.id, after, limit),
            lambda row: row.number,
            int,
            size=page_size,
            token=page_token,
            filters={"model": found.id},
        )
    items = [VersionOut.model_validate(row) for row in rows]
    return Page(items=items, next_page_token=following)


@router.get("/{which}", response_model=VersionOut, responses=refusals(NotFound))
def show_version(model: str, which: str, request: Request, store: TheStore) -> Response:
    """A version by its number, `active` (what is served) or `latest`."""
    with store.read() as db:
        version = versions.get(db, registry.get(db, model).id, which)
    wait = 2 if version.state is VersionState.CHECKING else None
    return tagged(request, VersionOut.model_validate(version), retry_after=wait)


@router.get(
    "/{which}/weights",
    response_class=FileResponse,
    responses={
        206: {"description": "A range of the file."},
        **refusals(NotFound, VersionRevoked, BadRange),
    },
)
def download_weights(model: str, which: str, request: Request, store: TheStore) -> Response:
    """The weights as safetensors; ranges are served, withdrawn versions are not."""
    with store.read() as db:
        found = registry.get(db, model)
        version = versions.downloadable(db, versions.get(db, found.id, which))
    path = store.blobs.path(version.digest)
    if not path.is_file():
        raise NotFound(f"The weights of version {version.number} are not in the blob folder.")
    tag = f'"{version.digest}"'
    digest = b64encode(bytes.fromhex(version.digest)).decode()
    headers = {
        "ETag": tag,
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
    }
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    keep_satisfiable(request, version.size)
    name = f"{found.name}-{version.number}.safetensors"
    return FileResponse(path, headers=headers, media_type=intake.WEIGHTS, filename=name)


@router.post(
    "/{which}/promote",
    response_model=VersionOut,
    responses=refusals(NotFound, InvalidTransition, RemembersErased),
)
def promote_version(
    model: str, which: str, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Serve an older version again, unless it remembers what has been erased since."""
    return tagged(request, _decided(versions.promote, store, model, which, owner))


@router.post(
    "/{which}/revoke",
    response_model=VersionOut,
    responses=refusals(NotFound, InvalidTransition),
)
def revoke_version(
    model: str, which: str, request: Request, store: TheStore, owner: Owner
) -> Response:
    """Withdraw a superseded version: its weights are refused from now on."""
    return tagged(request, _decided(versions.revoke, store, model, which, owner))


def _decided(
    act: Callable[[Any, Model, Version, str], None],
    store: Store,
    model: str,
    which: str,
    owner: str,
) -> VersionOut:
    """Act in one transaction; the version as it then stands."""
    with store.begin() as db:
        found = registry.get(db, model)
        version = versions.get(db, found.id, which)
        act(db, found, version, owner)
        return VersionOut.model_validate(version)
