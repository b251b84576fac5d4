"""What is open to everybody: health, metrics, the dashboard's page, and what problems mean."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app import problem_pages
from app.problems import refusals
from app.wire import Out, TheStore
from models_store.errors import NotFound, Unavailable
from models_store.store import SCHEMA, schema

router = APIRouter(tags=["house"])
DASHBOARD = (Path(__file__).parents[1] / "dashboard" / "index.html").read_text()
SELF_ONLY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Alive(Out):
    """It answers."""

    status: str = "alive"


class Ready(Out):
    """It can take requests; `degraded` when they are rung for later than usual."""

    status: str
    broker: bool
    """Does the broker answer, or is none needed?"""


@router.get("/livez")
async def show_liveness() -> Alive:
    """Does the process answer? Nothing else is asked."""
    return Alive()


@router.get("/readyz", responses=refusals(Unavailable))
def show_readiness(store: TheStore) -> Ready:
    """Does the database answer, with the tables that this code was written for?"""
    found = schema(store)
    if found != SCHEMA:
        raise Unavailable(
            f"The database is at migration {found}, and this code needs {SCHEMA}: run "
            "`lethe migrate`.",
            found=found,
            needed=SCHEMA,
        )
    broker = store.bell.answers()
    return Ready(status="ready" if broker else "degraded", broker=broker)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def show_metrics(request: Request) -> Response:
    """For Prometheus."""
    shown = generate_latest(request.app.state.meter.shown)
    return Response(shown, media_type=CONTENT_TYPE_LATEST)


@router.get("/dashboard", response_class=HTMLResponse)
async def show_dashboard() -> HTMLResponse:
    """One page that shows requests, jobs and workers as they move."""
    return HTMLResponse(DASHBOARD, headers={"Content-Security-Policy": SELF_ONLY})


@router.get("/problems/{slug}", response_class=HTMLResponse, responses=refusals(NotFound))
async def show_problem(slug: str) -> HTMLResponse:
    """What a kind of problem means, and what to do about it."""
    if slug not in problem_pages.PROBLEMS:
        raise NotFound(f"There is no problem named {slug!r}.", known=list(problem_pages.PROBLEMS))
    return HTMLResponse(problem_pages.html(slug))
