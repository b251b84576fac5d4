"""The life of requests, jobs and versions: every state, and every step that may be taken."""

from enum import StrEnum
from typing import TypeVar

from dateutil.relativedelta import relativedelta


class RequestStatus(StrEnum):
    """Where a forget request stands."""

    ACCEPTED = "accepted"
    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class VersionState(StrEnum):
    """Where a version of a model stands."""

    CHECKING = "checking"
    CANDIDATE = "candidate"
    PROVISIONAL = "provisional"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    ERASED = "erased"
    QUARANTINED = "quarantined"


class DatasetState(StrEnum):
    """Where a dataset stands. A `duplicate` has the same content as the one it names."""

    IMPORTING = "importing"
    READY = "ready"
    FAILED = "failed"
    DUPLICATE = "duplicate"


class JobKind(StrEnum):
    """What a job does."""

    IMPORT = "import"
    CHECK = "check"
    TRAIN = "train"
    FORGET = "forget"
    AUDIT = "audit"
    POOL = "pool"
    CERTIFY = "certify"
    TUNE = "tune"
    ERASE = "erase"


class Phase(StrEnum):
    """What a running job is at."""

    PREPARING = "preparing"
    UNLEARNING = "unlearning"
    TRAINING = "training"
    IMPORTING = "importing"
    AUDITING = "auditing"
    PUBLISHING = "publishing"


class Lane(StrEnum):
    """How a request wants to be served; in this order they are the rungs of the ladder."""

    FAST = "fast"
    QUALITY = "quality"
    EXACT = "exact"


class Goal(StrEnum):
    """What is to be forgotten: whole classes, or anything else."""

    CLASS = "class"
    SAMPLES = "samples"

    @classmethod
    def of(cls, *kinds: str) -> "Goal":
        """Of targets of these kinds together."""
        return cls.CLASS if all(kind == "class" for kind in kinds) else cls.SAMPLES


class Queue(StrEnum):
    """Where a job waits; a worker serves one or more."""

    FAST = "fast"
    QUALITY = "quality"
    EXACT = "exact"
    UPKEEP = "upkeep"


class Grant(StrEnum):
    """How it was decided on a certificate. `inconclusive`: the shadows could not tell."""

    GRANTED = "granted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


class MemberKind(StrEnum):
    """What a net of a reference pool was trained on: a random half, or all but one class."""

    HALF = "half"
    RETRAIN = "retrain"


class MemberState(StrEnum):
    """Where a net of a reference pool stands. `retired`: it has seen what had to be forgotten."""

    READY = "ready"
    RETIRED = "retired"
    ERASED = "erased"


class Regime(StrEnum):
    """Which law sets the clock of a request."""

    GDPR = "gdpr"
    UK_GDPR = "uk_gdpr"
    CCPA = "ccpa"
    VOLUNTARY = "voluntary"


DUE: dict[Regime, relativedelta | None] = {
    Regime.GDPR: relativedelta(months=1),  # Art. 12(3)
    Regime.UK_GDPR: relativedelta(months=1),
    Regime.CCPA: relativedelta(days=45),  # section 7021
    Regime.VOLUNTARY: None,
}
"""How long a request may take by law; None where no law says so."""

S = TypeVar("S", bound=StrEnum)
R, J, V = RequestStatus, JobStatus, VersionState

REQUEST_NEXT: dict[RequestStatus, frozenset[RequestStatus]] = {
    R.ACCEPTED: frozenset({R.AWAITING_APPROVAL, R.QUEUED, R.SUCCEEDED}),
    R.AWAITING_APPROVAL: frozenset({R.QUEUED, R.DENIED, R.CANCELLED, R.SUCCEEDED}),
    R.QUEUED: frozenset({R.RUNNING, R.CANCELLED, R.FAILED, R.SUCCEEDED}),
    R.RUNNING: frozenset({R.SUCCEEDED, R.FAILED, R.CANCELLED}),
    R.FAILED: frozenset({R.QUEUED}),
    R.SUCCEEDED: frozenset(),
    R.CANCELLED: frozenset(),
    R.DENIED: frozenset(),
}
"""A retry takes `failed` back to `queued`; between two rungs a request stays `running`."""

JOB_NEXT: dict[JobStatus, frozenset[JobStatus]] = {
    J.QUEUED: frozenset({J.RUNNING, J.CANCELLED}),
    J.RUNNING: frozenset({J.QUEUED, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
    J.SUCCEEDED: frozenset(),
    J.FAILED: frozenset({J.QUEUED}),
    J.CANCELLED: frozenset(),
}
"""`running` goes back to `queued` when its worker was lost or yielded."""

VERSION_NEXT: dict[VersionState, frozenset[VersionState]] = {
    V.CHECKING: frozenset({V.ACTIVE, V.QUARANTINED}),
    V.CANDIDATE: frozenset({V.PROVISIONAL, V.ACTIVE, V.QUARANTINED}),
    V.PROVISIONAL: frozenset({V.ACTIVE, V.SUPERSEDED, V.QUARANTINED}),
    V.ACTIVE: frozenset({V.SUPERSEDED, V.QUARANTINED}),
    V.SUPERSEDED: frozenset({V.ACTIVE, V.REVOKED}),
    V.REVOKED: frozenset({V.ERASED}),
    V.QUARANTINED: frozenset({V.ERASED}),
    V.ERASED: frozenset(),
}
"""`superseded` becomes `active` again by a rollback, which is refused if it remembers, or when the
served version is `quarantined` because its bytes are damaged."""

BACKGROUND = (JobKind.POOL, JobKind.TUNE, JobKind.CERTIFY)
"""Jobs for which no request waits."""
SERVED = (V.PROVISIONAL, V.ACTIVE)
REQUEST_ENDED = (R.SUCCEEDED, R.FAILED, R.CANCELLED, R.DENIED)
REQUEST_OPEN = tuple(status for status in R if status not in REQUEST_ENDED)
JOB_ENDED = (J.SUCCEEDED, J.FAILED, J.CANCELLED)


def before(steps: dict[S, frozenset[S]], state: S) -> list[S]:
    """The states from which `state` may be entered: what a guarded UPDATE asks for."""
    return [origin for origin, targets in steps.items() if state in targets]
