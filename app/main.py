"""The street door, put together: `uvicorn app.main:from_environment --factory`."""

import gc
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app import openapi, problems, routes
from app.auth import Keys
from app.guard import Guard
from app.metrics import Measured, Meter
from app.relay import Relay
from models_store.errors import Refusal
from models_store.settings import Settings
from models_store.store import Store


class Unsafe(ValueError):
    """The settings would open the door to everybody."""


def from_environment() -> FastAPI:
    """The application as the environment wants it; says in one line why it cannot start."""
    try:
        return create(Settings())
    except ValidationError as error:
        wrong = [f"LETHE_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SystemExit(f"lethe: {'; '.join(wrong)}") from None
    except ValueError as error:
        raise SystemExit(f"lethe: {error}") from None


def create(settings: Settings) -> FastAPI:
    """The application. Raises `Unsafe` in server mode without keys."""
    if not settings.embedded and not settings.api_keys:
        raise Unsafe(
            "LETHE_DATABASE_URL is set, but LETHE_API_KEYS is not: set one or more keys, "
            "separated by commas, since in server mode every call must carry one."
        )
    keys = Keys.of(settings.api_keys)
    store = Store.open(settings)
    app = FastAPI(
        title="Lethe",
        version="1",
        description="Machine unlearning as a service.",
        lifespan=_life,
        generate_unique_id_function=_operation,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        # `/metrics` is ours; nobody need look for other providers at each call.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.store, app.state.keys = store, keys
    app.state.relay, app.state.meter = Relay(store), Meter(store)
    app.state.stopping = threading.Event()
    handlers: dict[type[Exception], Any] = {
        Refusal: problems.refused,
        RequestValidationError: problems.invalid,
        HTTPException: problems.http,
        Exception: problems.broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(Measured, meter=app.state.meter)
    app.add_middleware(Guard, max_body=settings.max_body_bytes)
    routes.include(app)
    openapi.improve(app)
    return app


def _operation(route: APIRoute) -> str:
    return route.name


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """The relay works as long as the door is open; live streams end when it begins to close."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _also(app.state.stopping.set, signal.getsignal(number)))
    gc.collect()
    gc.freeze()  # what is there now stays; to look through it again would hold up an answer
    app.state.relay.start()
    yield
    app.state.stopping.set()
    app.state.relay.stop()
    app.state.store.close()


def _also(first: Callable[[], None], then: Any) -> Callable[[int, FrameType | None], None]:
    """A signal handler that does one thing more; the server waits for open streams to end."""

    def handle(number: int, frame: FrameType | None) -> None:
        first()
        if callable(then):
            then(number, frame)

    return handle
