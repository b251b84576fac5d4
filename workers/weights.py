"""Weights in and out of nets: safetensors only, and nothing that does not fit."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save
from torch import Tensor, nn

from workers.normalised import Normalised

MEDIA = "application/vnd.safetensors"
NAMED = 5
"""How many wrong tensors a refusal lists."""
OPTIONAL = "num_batches_tracked"
"""A counter that BatchNorm does without; many exporters leave it out."""


class UnfitWeights(ValueError):
    """The bytes are no safetensors, or do not fit the net; the message says how."""


def dump(model: nn.Module) -> bytes:
    """The weights and buffers of a net; the same values give the same bytes.

    Numbers with a fraction become float32. Names are those of the net without its normalisation.
    """
    return save(
        {
            name: (value.float() if value.is_floating_point() else value)
            .detach()
            .cpu()
            .clone(memory_format=torch.contiguous_format)
            for name, value in _inner(model).state_dict().items()
        }
    )


def load(model: nn.Module, source: bytes | Path) -> None:
    """Put weights into a net, all of them or none.

    Args:
        model: on any device; values are converted to the type it has.
        source: a safetensors file, or its bytes.

    Raises:
        UnfitWeights: the first few tensors that are missing, unexpected, of another shape, or
            not finite; or what the bytes are instead of safetensors.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    refuse_pickle(data)
    try:
        given = parse(data)
    except SafetensorError as error:
        raise UnfitWeights(f"The file is no readable safetensors file: {error}.") from error
    net = _inner(model)
    expected = net.state_dict()
    wrong = _misfits(expected, given)
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise UnfitWeights(
            f"The weights do not fit {type(net).__name__}: {'; '.join(wrong[:NAMED])}{more}. "
            "Check the architecture, its parameters and the number of classes."
        )
    net.load_state_dict({**expected, **given})


def refuse_pickle(data: bytes) -> None:
    """Raise `UnfitWeights` for what `torch.save` or `pickle` wrote."""
    # A safetensors file begins with the length of its header, which may look like this too; but
    # the ninth byte is then the opening brace of the header.
    if data.startswith((b"PK\x03\x04", b"\x80")) and data[8:9] != b"{":
        raise UnfitWeights(
            "The file is a pickle (a PyTorch .pt or .pth file), which can run code when it is "
            "opened. Save the state_dict with safetensors.torch.save_file and send that."
        )


def _inner(model: nn.Module) -> nn.Module:
    return model.net if isinstance(model, Normalised) else model


def _misfits(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    needed = {name for name in expected if not name.endswith(OPTIONAL)}
    wrong = [f"{name} is missing" for name in sorted(needed - given.keys())]
    wrong += [f"{name} is unexpected" for name in sorted(given.keys() - expected.keys())]
    for name in sorted(given.keys() & expected.keys()):
        ours, theirs = expected[name], given[name]
        if ours.shape != theirs.shape:
            wrong.append(f"{name} is {_shape(theirs)}, not {_shape(ours)}")
        elif ours.is_floating_point() != theirs.is_floating_point():
            wrong.append(f"{name} holds {theirs.dtype}, not {ours.dtype}")
        elif not theirs.isfinite().all():
            wrong.append(f"{name} has values that are not finite")
    return wrong


def _shape(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "a single number"
