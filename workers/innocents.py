"""The evidence as it would be, were the candidate a model that never saw the forgotten images."""

from dataclasses import replace

import torch

from workers.evidence import Evidence
from workers.references import sides, view
from workers.signals import rng

INNOCENTS = 3
"""Retrained models that the gates are put to, for the middle one to count."""


def never_saw(evidence: Evidence) -> list[Evidence]:
    """The evidence as it would be, were the candidate a model that never saw the forgotten images.

    For a class those are retrained models; the middle one counts, so that one in bad luck does
    not. For samples it is put together from the pool, row by row from
    a model that was not trained on the row, and that is no reference for it then; only margins
    are known of it.
    """
    if evidence.forgotten_classes and evidence.retrains:
        return [
            replace(evidence, after=retrain.scores, model_after=retrain.model())
            for retrain in evidence.retrains[:INNOCENTS]
        ]
    found = sides(evidence)
    if found is None or evidence.references is None:
        return []
    references, after = evidence.references, evidence.after
    chosen = torch.cat([found.ours, found.others]).unique()
    pool = view(references, chosen)
    chance = rng(evidence).random(pool.out.shape) * pool.out
    model = torch.from_numpy(chance.argmax(0))
    at, logits = after.positions(chosen), after.logits.clone()
    picked = torch.from_numpy(pool.margins).float()[model, torch.arange(len(chosen))]
    logits[at] = from_margins(picked, after.labels[at], logits.shape[1])
    left, columns = references.margins.clone(), torch.searchsorted(references.rows, chosen)
    others = torch.from_numpy(pool.out)
    others[model, torch.arange(len(chosen))] = False
    left[:, columns] = left[:, columns].where(others | references.trained[:, columns], torch.nan)
    return [
        replace(
            evidence,
            after=replace(after, logits=logits),
            references=replace(references, margins=left),
        )
    ]


def from_margins(margins: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """(n,) margins -> (n, K) logits that have them: the other classes share the rest evenly."""
    even = torch.full((len(margins), classes), 0.0) - torch.tensor(float(classes - 1)).log()
    return even.scatter(1, labels[:, None], margins[:, None])
