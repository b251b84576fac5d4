"""The paths, a file a resource."""

from fastapi import Depends, FastAPI

from app.auth import let_in
from app.problems import Unauthenticated, refusals
from app.routes.audits import router as audits
from app.routes.certificates import router as certificates
from app.routes.datasets import router as datasets
from app.routes.decisions import router as decisions
from app.routes.forget_requests import router as forget_requests
from app.routes.house import router as house
from app.routes.jobs import router as jobs
from app.routes.models import router as models
from app.routes.pools import router as pools
from app.routes.records import router as records
from app.routes.tunings import router as tunings
from app.routes.versions import router as versions
from app.routes.workshop import router as workshop
from models_store.errors import Unavailable

GUARDED = (
    forget_requests, datasets, models, versions, audits, pools, tunings, certificates, decisions, records,
    jobs, workshop,
)  # fmt: skip
"""A call tries one after the other: what is polled stands first."""


def include(app: FastAPI) -> None:
    """Open every path; all but those of the house itself need a key."""
    for router in GUARDED:
        app.include_router(
            router,
            dependencies=[Depends(let_in)],
            responses=refusals(Unauthenticated, Unavailable, "validation", "internal"),
        )
    app.include_router(house, responses=refusals("validation", "internal"))
