"""The policy of a model: which methods, which gates, how long old versions are kept."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models_store.life import Lane


class Prune(BaseModel):
    """Make the net sparse before the method runs; its zeros stay in every version that follows."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    method: str
    """A name from `pruners` in `GET /methods`."""
    sparsity: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, examples=[0.95])]
    """The share of the prunable weights that becomes zero."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Its other parameters; its schema stands next to its name."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        if "sparsity" in self.params:
            raise ValueError("give `sparsity` once, outside of `params`")
        return self


class Step(BaseModel):
    """A method with what else a rung says of it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    method: str
    """A name from `GET /methods`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """None: the model's tuned parameters, a recipe's, or the method's own defaults."""
    prune: Prune | None = None
    """A first stage, before the method."""


class Rungs(BaseModel):
    """What runs on each rung of the ladder: a method's name, or a method with parameters."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    fast: str | Step = "boundary_expanding"
    """Within moments, so that the data stops showing."""
    quality: str | Step
    """The better approximation."""
    exact: str | Step = "retrain"
    """Retraining without the forget set: needs the recipe."""

    def at(self, lane: Lane) -> Step:
        """The rung of a lane."""
        said: str | Step = getattr(self, lane.value)
        return said if isinstance(said, Step) else Step(method=said)


class PoolPolicy(BaseModel):
    """What becomes of the reference pool when requests have worn it out."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    rebuild: Literal["never", "halves", "all"] = "halves"
    """Are members that have retired replaced, once too few are left for tier 1? `halves`: those
    trained on random halves. `all`: also those that were ordered without a class of which training
    data is left. Only a pool that somebody has ordered is ever rebuilt."""

    size: Annotated[int, Field(ge=0, le=64, multiple_of=2)] | None = None
    """How many halves it is brought to; by default as many as were ever ordered."""


class Policy(BaseModel):
    """What `GET` and `PUT /models/{id}/policy` speak."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    assurance: Literal["auto", "tier0", "tier1"] = "auto"
    """The audit tier whose gates a version must pass before its requests count as succeeded.
    `auto`: tier 1 where the model has a reference pool when the version is judged, else tier 0."""

    require_certificate: bool = False
    """Must the method have a certificate (tier 2) for a version to pass?"""

    accept_certificate: bool = False
    """May a request for samples that are too few for tier 1 pass on the method's certificate? Only
    where no check fails, and no image stands out."""

    for_class: Rungs = Rungs(quality="boundary_shrink")
    """The ladder for requests that name whole classes."""

    for_samples: Rungs = Rungs(quality="l1_sparse")
    """The ladder for samples, subjects, and unions of both kinds."""

    last_rung: Lane = Lane.EXACT
    """Where the ladder ends."""

    require_approval: bool = False
    """Must somebody approve each request before it is queued?"""

    grace_seconds: Annotated[int, Field(ge=0)] = 7 * 24 * 3600
    """How long a superseded version that remembers erased data may still be downloaded, and one that
    failed its audit stays on disk."""

    pool: PoolPolicy = PoolPolicy()
    """Reference models retire with what they saw; is the pool kept up by itself?"""

    def tier(self, *, has_pool: bool) -> int:
        """The tier that decides."""
        return int(has_pool) if self.assurance == "auto" else int(self.assurance[-1])

    def rung(self, goal: str, lane: Lane) -> Step:
        """What runs for a union of requests of this goal (`class` or `samples`)."""
        return (self.for_class if goal == "class" else self.for_samples).at(lane)

    def next_rung(self, lane: Lane, *, has_recipe: bool) -> Lane | None:
        """The rung after this one, if the ladder goes on; `exact` needs a recipe."""
        rungs = list(Lane)
        at = rungs.index(lane) + 1
        if at > rungs.index(self.last_rung) or at == len(rungs):
            return None
        return None if rungs[at] is Lane.EXACT and not has_recipe else rungs[at]
