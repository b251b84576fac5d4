"""Where in the picture does the model look for the class, before and after?"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cosine_similarity

from workers.evidence import Audit, Evidence, Finding
from workers.heads import head
from workers.kinds import Samples
from workers.modes import frozen
from workers.signals import rng, rows

PARTS = ("forget", "forget_test", "retain")
SIDE = 12
"""A map has at most this many rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradCam(Audit):
    """Mean Grad-CAM heat maps of the true class, of the same layer in each version; only reports.

    The layer is the last that still has a map. The maps of single images are scaled to a peak of
    one and averaged; no image and no map of a single image is kept, since a report outlives the
    images, and a part with too few images is left out. The estimate is how alike the maps of
    forgotten images are before and after (mean cosine: 1 is the same map). For illustration only:
    heat maps are no measure of what a model remembers.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017, eqs. 1 and 2.
    """

    tier: ClassVar[int] = 1
    images: Annotated[int, Ge(1)] = 64
    """Images of each part, at most, drawn by lot."""
    least: Annotated[int, Ge(2)] = 16
    """Of fewer images no mean is kept: it would be a picture of them."""

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding; none for a baseline."""
        if evidence.goal == "none":
            return []
        chosen = {part: self._some(evidence, part) for part in PARTS}
        n = len(chosen["forget"])
        if evidence.samples is None or n < self.least:
            missing = f"{self.least} forgotten images or more" if n else "forgotten images"
            reason = f"Heat maps need the pixels at hand, and {missing}."
            return [Finding(test="grad_cam", estimate=None, n=n, reason=reason)]
        models = {"before": evidence.model_before, "after": evidence.model_after}
        if evidence.retrains:
            models["retrained"] = evidence.retrains[0].model()
        kept = {part: some for part, some in chosen.items() if len(some) >= self.least}
        maps = {
            version: {
                part: heat(model, _laid(evidence.samples, some)) for part, some in kept.items()
            }
            for version, model in models.items()
        }
        return [_finding(maps, n)]

    def _some(self, evidence: Evidence, part: str) -> Tensor:
        found = rows(evidence, part)
        return found[rng(evidence).permutation(len(found))[: self.images]]


def _laid(samples: Samples, chosen: Tensor) -> Samples:
    return samples.take(chosen.to(samples.index.device))


def _finding(maps: dict[str, dict[str, Tensor]], n: int) -> Finding:
    before, after = maps["before"]["forget"], maps["after"]["forget"]
    if not before.shape[1]:
        reason = "The net has no layer with a map."
        return Finding(test="grad_cam", estimate=None, n=n, reason=reason)
    alike = cosine_similarity(before.flatten(1), after.flatten(1), dim=1)
    alike[(before == after).all(2).all(1)] = 1.0
    details: dict[str, Any] = {
        version: {
            part: each.mean(0).double().numpy().round(3).tolist() for part, each in parts.items()
        }
        for version, parts in maps.items()
    }
    return Finding(test="grad_cam", estimate=float(alike.mean()), n=n, details=details)


def heat(model: nn.Module, samples: Samples) -> Tensor:
    """The heat map of the true class for each image: (n, h, w) in [0, 1]; (n, 0, 0) without maps."""
    images, labels = samples.at(torch.arange(len(samples), device=samples.index.device))
    seen: list[Tensor] = []

    def keep(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
            seen.append(output)

    last = head(model)[1]
    leaves = [part for part in model.modules() if not list(part.children()) and part is not last]
    hooks = [part.register_forward_hook(keep) for part in leaves]
    weight = next(model.parameters())
    try:
        with frozen(model), torch.enable_grad():
            logits = model(images.to(weight.dtype).requires_grad_())
            if not seen:
                return torch.zeros(len(images), 0, 0)
            (slope,) = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), seen[-1])
    finally:
        for hook in hooks:
            hook.remove()
    return _scaled((slope.mean((2, 3), keepdim=True) * seen[-1]).sum(1))


def _scaled(warmth: Tensor) -> Tensor:
    """Positive evidence only, each map with a peak of one; a map without any stays empty."""
    warm = torch.nan_to_num(warmth.detach().float(), posinf=0.0, neginf=0.0).relu()
    height, width = (min(SIDE, side) for side in warm.shape[1:])
    small = adaptive_avg_pool2d(warm[:, None], (height, width))[:, 0]
    return (small / small.amax((1, 2), keepdim=True).clamp(min=1e-12)).cpu()
