"""`/jobs`: what the workshop does, has done, and has still to do."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.paging import page
from app.problems import BadPageToken, refusals
from app.routes.shapes import JobOut
from app.wire import Out, Page, PageSize, PageToken, TheStore, tagged
from models_store import desk, jobs, registry, views
from models_store.errors import NotFound
from models_store.life import JOB_ENDED, JobKind, JobStatus

router = APIRouter(prefix="/jobs", tags=["operations"])


class AttemptOut(Out):
    """One claim of a job by one worker."""

    attempt: int
    worker: str
    device: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    failure: dict[str, Any] | None


class JobDetail(JobOut):
    """A job with all attempts at it."""

    attempts: list[AttemptOut]
    max_attempts: int
    """After so many failed or lost attempts it counts as failed."""


@router.get("", response_model=Page[JobOut], responses=refusals(BadPageToken, NotFound))
def list_jobs(
    request: Request,
    store: TheStore,
    status: JobStatus | None = None,
    model: Annotated[str | None, Query(description="Id or name.")] = None,
    kind: JobKind | None = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """Jobs, newest first."""
    with store.read() as db:
        model_id = registry.get(db, model).id if model else None
        rows, following = page(
            lambda after, limit: desk.page(
                db, after, limit, status=status, model_id=model_id, kind=kind
            ),
            lambda row: row.id,
            UUID,
            size=page_size,
            token=page_token,
            filters={"status": status, "model": model_id, "kind": kind},
        )
        items = [JobOut.of(view) for view in views.of_jobs(db, rows)]
    return tagged(request, Page(items=items, next_page_token=following))


@router.get("/{job_id}", response_model=JobDetail, responses=refusals(NotFound))
def show_job(job_id: UUID, request: Request, store: TheStore) -> Response:
    """How a job stands: percent, phase, epoch, ETA. Poll it with `If-None-Match`."""
    with store.read() as db:
        job = jobs.get(db, job_id)
        out = JobDetail.of(
            views.of_jobs(db, [job])[0],
            attempts=[AttemptOut.model_validate(row) for row in desk.attempts(db, job_id)],
            max_attempts=store.settings.max_attempts,
        )
    return tagged(request, out, retry_after=None if job.status in JOB_ENDED else 1)
