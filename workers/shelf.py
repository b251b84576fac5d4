"""What stands on the shelves: found by its file name, described as JSON Schema, made from JSON."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

import torch
import torchvision
from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model
from torch import nn

from workers import nets
from workers.heads import head
from workers.normalised import Normalised

T = TypeVar("T")
Builder = Callable[..., nn.Module]
ENTRY_POINTS = "lethe.nets"
GIVEN = ("classes", "in_channels")
"""What a builder is told about the data; its other parameters are the user's."""


class UnknownName(ValueError):
    """Nothing on the shelf has this name; the message lists the nearest ones."""


class UnfitParameters(ValueError):
    """Parameters that do not fit; `errors` lists `{"at", "why"}` for each."""

    def __init__(self, name: str, errors: list[dict[str, str]]) -> None:
        super().__init__(f"{name}: {errors[0]['at']}: {errors[0]['why']}")
        self.errors = errors


# ---- methods and audits ------------------------------------------------------------------------


def on(package: ModuleType, kind: type[T]) -> Mapping[str, type[T]]:
    """All of a kind on a shelf: one class in each file, under the file's name."""
    found: dict[str, type[T]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        mine = [thing for thing in vars(module).values() if _defined(thing, kind, module)]
        if len(mine) != 1:
            raise TypeError(f"{module.__name__} must define exactly one {kind.__name__}.")
        found[info.name] = mine[0]
    return found


def _defined(thing: object, kind: type, module: ModuleType) -> bool:
    return (
        isinstance(thing, type) and issubclass(thing, kind) and thing.__module__ == module.__name__
    )


def take(package: ModuleType, kind: type[T], name: str) -> type[T]:
    """The one of this name. Raises `UnknownName`."""
    shelf = on(package, kind)
    if name not in shelf:
        raise _unknown(name, list(shelf))
    return shelf[name]


def make(kind: type[T], params: Mapping[str, Any]) -> T:
    """One with these hyper-parameters. Raises `UnfitParameters`."""
    try:
        return TypeAdapter(kind).validate_python(dict(params))
    except ValidationError as error:
        raise UnfitParameters(kind.__name__, _listed(error)) from error


def lighter(thing: T, task: Mapping[str, Any]) -> T:
    """A method or recipe; with half its batch if an attempt at the task has run out of memory."""
    size = getattr(thing, "batch_size", None)
    if size is None or not task.get("lighter"):
        return thing
    return replace(thing, batch_size=max(1, size // 2))  # type: ignore[type-var]


def schema(kind: type) -> dict[str, Any]:
    """JSON Schema of the parameters, with bounds and what the docstrings under the fields say."""
    found = TypeAdapter(kind).json_schema() | {"additionalProperties": False}
    for base in filter(is_dataclass, kind.__mro__[1:]):  # pydantic reads the kind's own file only
        for name, inherited in TypeAdapter(base).json_schema()["properties"].items():
            if "description" in inherited:
                found["properties"][name].setdefault("description", inherited["description"])
    return found


def about(kind: object) -> str:
    """The docstring, which is shown to users."""
    return inspect.getdoc(kind) or ""


def _listed(error: ValidationError) -> list[dict[str, str]]:
    return [
        {"at": "$" + "".join(f".{part}" for part in each["loc"]), "why": each["msg"]}
        for each in error.errors()
    ]


def _unknown(name: str, known: Sequence[str]) -> UnknownName:
    near = difflib.get_close_matches(name, known, n=5) or sorted(known)[:10]
    return UnknownName(f"There is nothing named {name!r}; the nearest are {', '.join(near)}.")


# ---- nets --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Architecture:
    """A net that can be built by name."""

    name: str
    about: str
    schema: dict[str, Any]


def architectures() -> Iterator[Architecture]:
    """Ours, those of Python entry points, and torchvision's classification builders."""
    for name, builder in _own().items():
        yield Architecture(name, about(builder), _form(builder).model_json_schema())
    for name in _torchvision():
        form = create_model(name, __config__=ConfigDict(extra="forbid"))
        what = f"torchvision.models.{name}, without pretrained weights; it takes RGB images."
        yield Architecture(name, what, form.model_json_schema())


def build(
    architecture: str,
    parameters: Mapping[str, Any],
    *,
    classes: int,
    shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
) -> nn.Module:
    """A new net that takes images (B, C, H, W) in [0, 1] and gives logits (B, `classes`).

    Args:
        shape: (height, width, channels) of the images.
        mean, std: of each channel, for the normalisation in front.
        seed: decides the weights; torch's global generator is left as it was.

    Raises:
        UnknownName, UnfitParameters: no such net, or not with these parameters.
        ValueError: the net cannot take such images.
    """
    channels = shape[2]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if architecture in _own():
            net = _own()[architecture](classes, channels, **_checked(architecture, parameters))
        elif architecture in _torchvision():
            net, channels = _from_torchvision(architecture, parameters, classes), 3
        else:
            raise _unknown(architecture, [*_own(), *_torchvision()])
    if len(head(net)[1].weight) != classes:
        raise ValueError(f"{architecture} does not end in {classes} outputs.")
    return Normalised(net, mean, std, channels)


@cache
def _own() -> Mapping[str, Builder]:
    found: dict[str, Builder] = {}
    for info in pkgutil.iter_modules(nets.__path__):
        module = importlib.import_module(f"{nets.__name__}.{info.name}")
        found[info.name] = getattr(module, info.name)
    return found | {entry.name: entry.load() for entry in entry_points(group=ENTRY_POINTS)}


@cache
def _torchvision() -> frozenset[str]:
    return frozenset(torchvision.models.list_models(module=torchvision.models))


def _from_torchvision(name: str, parameters: Mapping[str, Any], classes: int) -> nn.Module:
    if parameters:
        why = "torchvision's nets take no parameters here"
        raise UnfitParameters(name, [{"at": f"$.{next(iter(parameters))}", "why": why}])
    # These two train with extra heads by default, which the one loop has no use for.
    plain = {"aux_logits": False, "init_weights": True} if name in WITH_EXTRA_HEADS else {}
    net: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **plain)
    return net


WITH_EXTRA_HEADS = ("googlenet", "inception_v3")


def _form(builder: Builder) -> Any:
    """A pydantic model of the builder's own parameters."""
    fields: dict[str, Any] = {
        name: (parameter.annotation, parameter.default)
        for name, parameter in inspect.signature(builder).parameters.items()
        if name not in GIVEN
    }
    return create_model(builder.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _checked(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(_form(_own()[name]).model_validate(dict(parameters)))
    except ValidationError as error:
        raise UnfitParameters(name, _listed(error)) from error
