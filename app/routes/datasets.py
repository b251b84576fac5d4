"""`/datasets`: register images by upload or by path, and look at their samples."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from app.auth import Owner
from app.openapi import follow
from app.paging import newest, page
from app.problems import BadPageToken, MalformedBody, WrongMediaType, refusals
from app.uploads import Form, described, parsed, received
from app.wire import (
    Identifier,
    In,
    Name,
    Out,
    Page,
    PageSize,
    PageToken,
    Small,
    Text,
    TheRelay,
    TheStore,
    tagged,
)
from models_store import datasets, formats
from models_store.errors import ForbiddenPath, NotFound, StorageFull, TooLarge, UnsafeFormat
from models_store.life import DatasetState
from models_store.store import Store
from models_store.tables import Dataset, Job

router = APIRouter(prefix="/datasets", tags=["datasets"])

Side = Annotated[int, Field(gt=0, le=4096)]
OPTIONS = {"class_names", "split", "resize", "holdout_share"}


class DatasetIn(In):
    """How the images are to be registered."""

    name: Name
    class_names: Annotated[list[Identifier], Field(max_length=100_000)] | None = None
    """By label; only needed where the file does not say them."""
    split: Literal["train", "test", "holdout"] | None = None
    """Of rows that do not say theirs; `train` unless given."""
    resize: tuple[Side, Side] | None = None
    """Height and width; without it all images must have one size."""
    holdout_share: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """This share of the training rows is reserved, by subject, and never trained on."""

    def options(self) -> dict[str, Any]:
        """What the import job is told."""
        return self.model_dump(mode="json", include=OPTIONS)


class PathIn(DatasetIn):
    """A dataset that lies below one of LETHE_IMPORT_ROOTS or LETHE_IMPORT_URLS."""

    path: Annotated[Text, Field(min_length=1)]
    """Absolute: a .parquet, .npz or .zip file, or a folder of Parquet files or of images; or the URL
    of such a file."""


class DatasetOut(Out):
    """Images that models are trained on."""

    id: UUID
    name: str
    state: DatasetState
    fingerprint: str | None
    """SHA-256 of its content, whatever file it came in."""
    class_names: list[str]
    shape: list[int]
    """Height, width, channels."""
    counts: dict[str, int]
    """Samples by split."""
    same_as: UUID | None
    """Of a duplicate: the dataset with the same content."""
    created_at: datetime


class NewDataset(DatasetOut):
    """A dataset that is being imported."""

    job: UUID
    """The job that imports it."""


class SampleOut(Out):
    """One image, without its pixels."""

    sample_id: str
    position: int
    label: int
    split: str
    subject: str | None
    forgotten_by: UUID | None
    """The first request that had it forgotten; once erased, IDs are keyed hashes."""
    erased_at: datetime | None


@router.post(
    "",
    status_code=202,
    response_model=NewDataset,
    responses={
        **follow("show_dataset", "dataset"),
        **refusals(
            MalformedBody, ForbiddenPath, NotFound, TooLarge, UnsafeFormat, WrongMediaType,
            "validation", StorageFull,
        ),
    },
    openapi_extra=described(DatasetIn, PathIn),
)  # fmt: skip
async def register_dataset(
    request: Request, store: TheStore, relay: TheRelay, owner: Owner
) -> Response:
    """Upload a .parquet, .npz or .zip of an ImageFolder, or name a path; a job decodes it."""
    if request.headers.get("content-type", "").startswith("application/json"):
        body = await request.body()
        dataset, job = await run_in_threadpool(_import_path, store, owner, body)
    else:
        dataset, job = await received(
            request, store.settings, lambda form: _import_upload(store, owner, form)
        )
    relay.wake()
    out = NewDataset.model_validate({**vars(dataset), "job": job.id})
    return tagged(request, out, status=202, retry_after=2, Location=f"{router.prefix}/{dataset.id}")


def _import_upload(store: Store, owner: str, form: Form) -> tuple[Dataset, Job]:
    meta = form.meta(DatasetIn)
    kept = store.blobs.take_in(form.file(), store.settings.max_upload_bytes, formats.check_dataset)
    with store.begin() as db:
        source = {"upload": kept.digest, **meta.options()}
        return datasets.register(db, name=meta.name, source=source, actor=owner)


def _import_path(store: Store, owner: str, body: bytes) -> tuple[Dataset, Job]:
    meta = parsed(PathIn, body)
    if "://" in meta.path:
        path = _below(meta.path, store.settings.import_urls)
    else:
        path = str(_within(Path(meta.path), store.settings.import_roots))
    source = {"path": path, **meta.options()}
    with store.begin() as db:
        return datasets.register(db, name=meta.name, source=source, actor=owner)


def _below(url: str, roots: tuple[str, ...]) -> str:
    """The URL, if it lies below one of the roots and leads nowhere else."""
    steps = url.split("/")
    known = any(url.startswith(f"{root.rstrip('/')}/") for root in roots)
    if not known or ".." in steps or "::" in url:  # by which fsspec would chain another one
        raise ForbiddenPath(f"{url!r} lies below none of the URLs in LETHE_IMPORT_URLS.")
    return url


def _within(path: Path, roots: tuple[Path, ...]) -> Path:
    """The path with every link resolved, if it then lies below one of the roots."""
    real = path.resolve()
    if not path.is_absolute() or not any(real.is_relative_to(root.resolve()) for root in roots):
        raise ForbiddenPath(
            f"{str(path)!r} lies below none of the folders in LETHE_IMPORT_ROOTS, links resolved."
        )
    if not real.exists():
        raise NotFound(f"There is nothing at {str(path)!r}.")
    return real


@router.get("", responses=refusals(BadPageToken))
def list_datasets(
    store: TheStore, page_size: PageSize = 50, page_token: PageToken = None
) -> Page[DatasetOut]:
    """Datasets, newest first."""
    with store.read() as db:
        return newest(
            lambda after, limit: datasets.page(db, after, limit), DatasetOut, page_size, page_token
        )


@router.get("/{dataset}", response_model=DatasetOut, responses=refusals(NotFound))
def show_dataset(dataset: str, request: Request, store: TheStore) -> Response:
    """A dataset by id, or the newest ready one of this name."""
    with store.read() as db:
        found = datasets.get(db, dataset)
    wait = 2 if found.state is DatasetState.IMPORTING else None
    return tagged(request, DatasetOut.model_validate(found), retry_after=wait)


@router.get(
    "/{dataset}/samples",
    responses=refusals(NotFound, BadPageToken),
)
def list_samples(
    dataset: str,
    store: TheStore,
    subject: Annotated[str | None, Query(max_length=500)] = None,
    label: Annotated[Small | None, Query()] = None,
    split: Annotated[str | None, Query(max_length=16)] = None,
    *,
    forgotten: bool | None = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Page[SampleOut]:
    """The samples of a dataset, in its order."""
    filters: dict[str, Any] = {
        "subject": subject,
        "label": label,
        "split": split,
        "forgotten": forgotten,
    }
    with store.read() as db:
        found = datasets.get(db, dataset)
        rows, following = page(
            lambda after, limit: datasets.sample_page(
                db, found.id, after=-1 if after is None else after, limit=limit, **filters
            ),
            lambda row: row.position,
            int,
            size=page_size,
            token=page_token,
            filters={"dataset": found.id, **filters},
        )
    items = [SampleOut.model_validate(row) for row in rows]
    return Page(items=items, next_page_token=following)
