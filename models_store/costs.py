"""What a job costs, counted: arithmetic that travels as text, and the operations it comes to."""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
FUNCTIONS: dict[str, Callable[..., float]] = {"min": min, "max": max, "ceil": ceil}
LONGEST = 500
"""Characters; what a method says in one line is far shorter."""
GIGA = 1e9
FLOAT_BYTES = 4
COPIES = 5
"""Of the weights: before, after, gradients, momentum, and one on its way to disk."""
ACTIVATION_BYTES = 8
"""For each output of a layer and image while training; BatchNorm and ReLU keep their own."""


class UnknownCost(ValueError):
    """The arithmetic says nothing that can be worked out."""


def value(text: str, known: Mapping[str, float]) -> float:
    """The value of numbers and known names under + - * /, `min`, `max` and `ceil`.

    Raises:
        UnknownCost: it holds anything else, divides by nothing, or has no finite value.
    """
    try:
        if len(text) > LONGEST:
            raise UnknownCost(f"{text[:40]}... is longer than {LONGEST} characters.")
        found = float(_value(ast.parse(text, mode="eval").body, known))
    except (SyntaxError, ArithmeticError, TypeError, RecursionError) as error:
        raise UnknownCost(f"{text!r} cannot be worked out: {error}") from error
    if not isfinite(found):
        raise UnknownCost(f"{text!r} has no finite value.")
    return found


def _value(node: ast.expr, known: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, known), _value(right, known))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*[_value(each, known) for each in args])
    raise UnknownCost(f"{ast.unparse(node)!r} is no number that is known here.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A net on a device: operations for one image, and the seconds that they took there."""

    forward_macs: int
    """Multiply-accumulates of a forward pass."""
    training_macs: int
    """Of a forward and a backward pass."""
    parameters: int
    activations: int
    """Outputs of all convolutions and linear layers."""
    forward_rate: float
    """Seconds for 10^9 multiply-accumulates, when nothing is learned."""
    training_rate: float
    """The same while training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many images a job deals with."""

    forget: int
    retain: int
    unseen: int
    """Test and held-out images, which an audit asks about."""
    scored: bool
    """Is the base's forward pass cached?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job, counted: in 10^9 multiply-accumulates, bytes, and seconds at the gauge's rates."""

    unlearning: float
    unlearning_seconds: float
    auditing: float
    memory_bytes: float
    """Of weights and activations."""


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """What arithmetic may name: the numbers among some parameters."""
    return {prefix + name: each for name, each in values.items() if isinstance(each, int | float)}


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that a JSON Schema states for its properties."""
    fields: Mapping[str, Any] = schema.get("properties", {})
    return {name: field["default"] for name, field in fields.items() if "default" in field}


def work(
    cost: Mapping[str, str],
    audit: str,
    known: Mapping[str, float],
    sizes: Sizes,
    gauge: Gauge,
) -> Work:
    """Work out what a method and the audit after it cost.

    Args:
        cost: the method's `trained` and `forwards`, images as arithmetic.
        audit: images that the audit passes forward, as arithmetic.
        known: the method's parameters, the recipe's as `recipe_...`, and `classes`.

    Raises:
        UnknownCost: one of them cannot be worked out.
    """
    names = {**known, "forget": sizes.forget, "retain": sizes.retain, "unseen": sizes.unseen,
             "scored": sizes.scored}  # fmt: skip
    trained = value(cost["trained"], names) * gauge.training_macs / GIGA
    forwards = value(cost["forwards"], names) * gauge.forward_macs / GIGA
    batch = value(cost["batch"], names)
    return Work(
        unlearning=trained + forwards,
        unlearning_seconds=trained * gauge.training_rate + forwards * gauge.forward_rate,
        auditing=value(audit, names) * gauge.forward_macs / GIGA,
        memory_bytes=COPIES * FLOAT_BYTES * gauge.parameters
        + batch * ACTIVATION_BYTES * gauge.activations,
    )
