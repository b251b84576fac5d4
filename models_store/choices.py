"""What runs for a request: the method, its parameters and where they come from, and the pruner.

Whoever names no parameters gets those that were tuned for the model, else those of a recipe that
fits it, else the method's own defaults. Whoever names any gets these, over the method's defaults.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, null, select, type_coerce, union_all
from sqlalchemy.orm import Session

from models_store import offers, registry
from models_store.errors import InvalidParams, NoRecipe
from models_store.life import Goal, Lane
from models_store.tables import Dataset, Model, Offer, TunedParams, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A method that runs."""

    method: str
    params: dict[str, Any]
    source: str
    """Of the parameters: `request`, `policy`, `tuning {id}`, `recipe {name}`, or `method`."""
    prune: dict[str, Any] | None


def by_name(
    db: Session,
    model: Model,
    goal: str,
    method: str,
    params: dict[str, Any],
    prune: dict[str, Any] | None,
    said_by: str = "request",
) -> Choice:
    """A method that somebody has named."""
    source = said_by
    if not params:
        params, source = tuned(db, model, goal, method)
    return Choice(method=method, params=params, source=source, prune=prune)


def by_lane(db: Session, model: Model, goal: str, lane: Lane) -> Choice:
    """What the model's policy says for a lane."""
    said = registry.policy_of(model).rung(goal, lane)
    prune = said.prune.model_dump(mode="json") if said.prune else None
    return by_name(db, model, goal, said.method, said.params, prune, said_by="policy")


_FILES = select(Offer.name, Offer.traits).where(Offer.kind == "tuned").order_by(Offer.name)
_NO_FILE = type_coerce(null(), Offer.name.type), type_coerce(null(), Offer.traits.type)
_TUNED = union_all(
    select(TunedParams.job_id, TunedParams.params, *_NO_FILE).where(
        TunedParams.model_id == bindparam("model_id"),
        TunedParams.goal == bindparam("goal"),
        TunedParams.method == bindparam("method"),
    ),
    _FILES.with_only_columns(null(), null(), Offer.name, Offer.traits).order_by(None),
)
"""The model's own parameters for a method, and all recipe files."""


def tuned(db: Session, model: Model, goal: str, method: str) -> tuple[dict[str, Any], str]:
    """Parameters for a method on a model where nobody names any, and where they come from."""
    asked = {"model_id": model.id, "goal": Goal(goal), "method": method}
    files = []
    for job_id, params, *file in db.execute(_TUNED, asked):
        if job_id is not None:
            return params, f"tuning {job_id}"
        files.append(tuple(file))
    recipe, traits = _fitting(db, model, sorted(files, key=itemgetter(0)))
    if recipe is not None and method in traits[goal]:
        return traits[goal][method], f"recipe {recipe}"
    return {}, "method"


def fitting(db: Session, model: Model) -> str | None:
    """The recipe file for this architecture, with these parameters, on a dataset of this name."""
    return _fitting(db, model, db.execute(_FILES).all())[0]


def _fitting(
    db: Session, model: Model, files: Sequence[Sequence[Any]]
) -> tuple[str | None, dict[str, Any]]:
    name = db.get_one(Dataset, model.dataset_id).name
    mine = {"dataset": name, "architecture": model.architecture, "parameters": model.parameters}
    fits = ((file, traits) for file, traits in files if mine.items() <= traits.items())
    return next(fits, (None, {}))


def refuse_impossible(
    db: Session, choice: Choice, model: Model, root: Version, on: Version
) -> Offer:
    """The method's offer; raise `InvalidParams` or `NoRecipe` where this cannot run.

    Args:
        root: the first version of the line. on: the version that it would run on.
    """
    offer = offers.check(db, "method", choice.method, choice.params)
    first = offers.check_pruner(db, choice.prune, offer) if choice.prune else None
    if "updates" in offer.needs and on.updates is None:
        raise InvalidParams(
            f"{offer.name} needs the log of the training that made version {on.number}, and none "
            "was kept: train with `log_updates`, or choose another method."
        )
    anew = [each.name for each in (first, offer) if each is not None and "recipe" in each.needs]
    if anew and root.recipe is None:
        raise NoRecipe(
            f"{anew[0]} trains again from the start, but version {on.number} of "
            f"{model.name!r} was registered without its recipe: register the recipe, or choose "
            "the quality lane."
        )
    return offer
