"""What runs for a request: the method, its parameters and where they come from, and the pruner.

Whoever names no parameters gets those that were tuned for the model, else those of a recipe that
fits it, else the method's own defaults. Whoever names any gets these, over the method's defaults.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
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


_OWN = select(TunedParams.params, TunedParams.job_id).where(
    TunedParams.model_id == bindparam("model_id"),
    TunedParams.goal == bindparam("goal"),
    TunedParams.method == bindparam("method"),
)


def tuned(db: Session, model: Model, goal: str, method: str) -> tuple[dict[str, Any], str]:
    """Parameters for a method on a model where nobody names any, and where they come from."""
    asked = {"model_id": model.id, "goal": Goal(goal), "method": method}
    own = db.execute(_OWN, asked).one_or_none()
    if own is not None:
        return own.params, f"tuning {own.job_id}"
    recipe = fitting(db, model)
    if recipe is not None and method in recipe.traits[goal]:
        return recipe.traits[goal][method], f"recipe {recipe.name}"
    return {}, "method"


def fitting(db: Session, model: Model) -> Offer | None:
    """The recipe file for this architecture, with these parameters, on a dataset of this name."""
    name = db.get_one(Dataset, model.dataset_id).name
    mine = {"dataset": name, "architecture": model.architecture, "parameters": model.parameters}
    return next((o for o in offers.listed(db, "tuned") if mine.items() <= o.traits.items()), None)


def refuse_impossible(
    db: Session, choice: Choice, model: Model, root: Version, on: Version
) -> None:
    """Raise `InvalidParams` or `NoRecipe` where this cannot run.

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
