"""What Prometheus may read: calls by route template, and the store's figures when it asks."""

import os
from collections.abc import Iterator
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models_store import figures
from models_store.errors import Unavailable
from models_store.store import Store


class Meter:
    """The metrics of one API process, or of all that count in `PROMETHEUS_MULTIPROC_DIR`."""

    def __init__(self, store: Store) -> None:
        self.shown = counted = CollectorRegistry()
        self.shown.register(StoreFigures(store))
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(self.shown)  # type: ignore[no-untyped-call] # it has no types
            counted = CollectorRegistry()
        self.calls = Counter(
            "lethe_http_requests", "Calls answered.", ["method", "route", "status"],
            registry=counted,
        )  # fmt: skip
        self.seconds = Histogram(
            "lethe_http_request_duration_seconds", "Time until a call's answer began.",
            ["method", "route"], registry=counted,
        )  # fmt: skip


class Measured:
    """ASGI middleware that counts calls; the label is the route's template, never an id."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self.app = app
        self.meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        since = perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                method = scope["method"] if route != "unknown" else "any"
                self.meter.calls.labels(method, route, message["status"]).inc()
                self.meter.seconds.labels(method, route).observe(perf_counter() - since)
            await send(message)

        await self.app(scope, receive, noted)


class StoreFigures(Collector):
    """The figures of the store, taken when they are read; none while the database is away."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is known before it is asked for."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, by the names that alarms use."""
        try:
            with self.store.read() as db:
                now = figures.take(db, self.store.settings)
        except Unavailable:
            return
        for name, label, counts in (
            ("lethe_requests", "status", now.requests),
            ("lethe_jobs", "status", now.jobs),
            ("lethe_queue_depth", "queue", now.waiting),
        ):
            family = GaugeMetricFamily(name, f"How many, by {label}.", labels=[label])
            for word, count in counts.items():
                family.add_metric([word], count)
            yield family
        for name, about, value in (
            ("lethe_oldest_open_request_seconds", "Age.", now.oldest_request_seconds or 0.0),
            ("lethe_oldest_queued_job_seconds", "Age.", now.oldest_job_seconds or 0.0),
            ("lethe_requests_overdue", "Open requests past their due date.", now.overdue),
            ("lethe_jobs_unrung", "Queued jobs that no worker was told about.", now.unrung),
            ("lethe_workers", "Workers heard from within a lease.", now.workers),
        ):
            yield GaugeMetricFamily(name, about, value=value)
