"""The audit report as the API describes it; the workshop writes it, the door only hands it out."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.wire import Out

Verdict = Literal["pass", "fail", "inconclusive"]
Number = float | None


class StatementOut(Out):
    """What may be said, and what may not be read into it."""

    template: str
    """By tier and verdict, such as `tier0-pass`."""
    dpo: str
    """For a data protection officer, to quote as a whole."""
    limits: list[str]
    """What the result does not cover."""


class AuditedOut(Out):
    """A version, as a report names it."""

    number: int
    digest: str
    """SHA-256 of the weights."""
    method: str | None
    params: dict[str, Any]
    prune: dict[str, Any] | None
    """What made the net sparse."""
    seed: int | None
    designed_for: list[str]
    """The targets, `class` or `samples`, that the method was designed for."""


class ComparedOut(Out):
    """Which models the report is about."""

    name: str
    architecture: str
    before: AuditedOut
    after: AuditedOut
    references: int
    """Models in the reference pool that was asked."""
    retrains: int
    """Models retrained without the forget set."""


class AskedOut(Out):
    """What was to be forgotten. There are no sample IDs in a report."""

    goal: Literal["class", "samples", "none"]
    """`none`: the baseline of a version that forgot nothing."""
    requests: int
    n_forget: int
    n_people: int | None
    """How many people these are of; null where the dataset names nobody."""
    forgotten_classes: list[int]
    """Labels of which no training image is left."""
    manifest: str | None
    """A keyed SHA-256 of the requested IDs."""


class PartOut(Out):
    """The part of the never-trained images that an attempt is judged on."""

    number: int
    """From 1 to `of`."""
    of: int
    reused: bool
    """They are too few for fresh ones: an earlier attempt was judged on them."""


class NonmembersOut(Out):
    """The images that stand for never-trained ones."""

    kind: Literal["holdout", "test", "none"]
    n: int
    basis: str
    """Why they may, in a sentence."""
    slice: PartOut | None
    """Null where nothing was forgotten: then all are looked at."""


class ImagesOut(Out):
    """The data that the versions were compared on."""

    dataset: str
    fingerprint: str
    class_names: list[str]
    sizes: dict[str, int]
    """How many images each part has."""
    nonmembers: NonmembersOut


class ControlOut(Out):
    """What the tests say of a model of which the truth is known."""

    name: str
    """`original_must_fail` or `never_saw_must_pass`."""
    test: str
    """The decisive one."""
    estimate: Number
    low: Number
    high: Number
    n: int
    verdict: Verdict
    as_expected: bool
    reason: str


class TestOut(Out):
    """The answer to one question."""

    test: str
    """`audit` or `audit.part`; stable."""
    tier: int
    estimate: Number
    low: Number
    """Of the 95 % interval."""
    high: Number
    n: int
    """Images that were looked at."""
    before: Number
    """The same estimate on the version before."""
    unit: str
    """`share`, `points` (a difference of shares), `nats`, `s`, `bytes`, `per s`, or nothing."""
    gate: str | None
    """The rule in words; null where the test only reports."""
    allowed: tuple[float, float] | None
    """Between which estimates the gate has nothing against, where that is one interval."""
    verdict: Verdict | None
    reason: str
    p_value: Number
    power: Number
    """The chance that a model without any trace passes, with so many images."""
    details: dict[str, Any]
    """Tables of this test; also what the pictures are drawn from."""


class TracedOut(Out):
    """What the newest audit said of one figure of an earlier version."""

    estimate: float
    low: Number
    high: Number


class EarlierOut(Out):
    """A version that this one came from."""

    version: int
    tests: dict[str, TracedOut]
    """Absent where nothing was measured."""


class SliceOut(Out):
    """Accuracy on the rows of one request."""

    n: int
    before: Number
    after: Number
    low: Number
    high: Number


class HeldOut(Out):
    """What tier 2 says of the method, used as here, on models like this one."""

    id: str
    granted: str
    """The day."""
    goal: Literal["class", "samples"]
    size: int
    """The largest forget set that it covers."""
    shadows: int
    area: float
    high: float
    """Of the 95 % interval of the area."""
    epsilon: Number
    """The lower bound that planted images showed."""
    epsilon_before: Number


class AuditReportOut(Out):
    """The report on one version. Numbers are finite; what could not be measured is null."""

    schema_: Annotated[Literal["lethe-audit/1"], Field(alias="schema")]
    audit: str
    created_at: str
    attempt: int
    """How often the request was audited, this time included."""
    verdict: Verdict
    assurance: Literal["tier0", "tier1"]
    headline: str
    """The verdict in a line, and whether the method holds a certificate."""
    reason: str
    """How the verdict came about."""
    certified: bool
    certificate: HeldOut | None = None
    """Of the method, where it holds one that covers this use."""
    statement: StatementOut
    models: ComparedOut
    request: AskedOut
    data: ImagesOut
    history: list[EarlierOut]
    """The versions that this one came from, oldest first."""
    controls: list[ControlOut]
    tests: list[TestOut]
    utility: dict[str, Number]
    cost: dict[str, Number]
    about: dict[str, str]
    """What each audit asks, in its own words."""
    provenance: dict[str, Any]
    requests: dict[str, SliceOut]
    """By request ID: what the job did to each request's own rows."""
