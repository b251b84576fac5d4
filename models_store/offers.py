"""What workers can do, as they wrote it down, so that the door can check parameters."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session

from models_store.columns import now
from models_store.errors import InvalidParams
from models_store.tables import Offer

_OF_KIND = select(Offer).where(Offer.kind == bindparam("kind")).order_by(Offer.name)
_TRAITS = _OF_KIND.with_only_columns(Offer.name, Offer.traits)


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that a worker can do: `kind` is method, pruner, audit or net."""

    kind: str
    name: str
    about: str
    schema: dict[str, Any]
    traits: dict[str, Any]


def advertise(db: Session, abilities: Sequence[Ability]) -> None:
    """Write down what this worker can do, over what an earlier one wrote."""
    for ability in sorted(abilities, key=lambda a: (a.kind, a.name)):
        db.merge(
            Offer(
                kind=ability.kind,
                name=ability.name,
                about=ability.about,
                schema=ability.schema,
                traits=ability.traits,
                offered_at=now(),
            )
        )


def listed(db: Session, kind: str) -> list[Offer]:
    """All offers of a kind, by name."""
    return list(db.scalars(_OF_KIND, {"kind": kind}))


def is_exact(db: Session, method: str, prune: dict[str, Any] | None = None) -> bool:
    """Does this method's result, and which of its weights are zero, never see the forget set?"""
    named = [("method", method), *([("pruner", prune["method"])] if prune else [])]
    found = [db.get(Offer, key) for key in named]
    return all(offer is not None and bool(offer.traits.get("exact")) for offer in found)


def designed_for(db: Session | Connection) -> dict[str, Collection[str]]:
    """The targets, `class` or `samples`, that each method on offer was designed for."""
    return {name: design(traits) for name, traits in db.execute(_TRAITS, {"kind": "method"})}


def design(traits: dict[str, Any]) -> Collection[str]:
    """The same of one method, by its traits."""
    targets: Collection[str] = traits.get("designed_for", ("class", "samples"))
    return targets


def check(db: Session, kind: str, name: str, params: dict[str, Any]) -> Offer:
    """The offer of this name, if these parameters fit its schema.

    Raises:
        InvalidParams: no worker offers it, or `errors` lists each parameter that does not fit.
    """
    offer = db.get(Offer, (kind, name))
    if offer is None:
        raise _unknown(db, kind, name)
    errors = [
        {"at": error.json_path, "why": error.message}
        for error in Draft202012Validator(offer.schema).iter_errors(params)
    ]
    if errors:
        raise InvalidParams(
            f"The {kind} {name} does not take these parameters: {errors[0]['at']}: "
            f"{errors[0]['why']}.",
            errors=errors,
        )
    return offer


def check_pruner(db: Session, prune: dict[str, Any], method: Offer) -> Offer:
    """The pruner's offer, if it takes this sparsity and these params and may go before the method.

    Raises `InvalidParams`.
    """
    params = {**prune["params"], "sparsity": prune["sparsity"]}
    offer = check(db, "pruner", prune["method"], params)
    if "recipe" in offer.needs and "updates" in method.needs:
        raise InvalidParams(
            f"{method.name} takes back updates of the model's own weights and cannot follow "
            f"{offer.name}, which trains a new net."
        )
    return offer


def _unknown(db: Session, kind: str, name: str) -> InvalidParams:
    known = list(db.scalars(select(Offer.name).where(Offer.kind == kind).order_by(Offer.name)))
    if not known:
        return InvalidParams(
            f"No worker has said yet which {kind}s it offers: start one with `lethe worker`."
        )
    near = difflib.get_close_matches(name, known, n=5)
    return InvalidParams(
        f"There is no {kind} named {name!r}; the nearest are {', '.join(near or known[:10])}.",
        known=near or known[:50],
    )
