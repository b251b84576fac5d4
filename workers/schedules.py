"""How the learning rate goes up and down over a run."""

from math import cos, pi

from workers.kinds import Recipe

SCHEDULES = ("constant", "cosine", "one_cycle")
START, END = 1 / 25, 1e-5
"""Of the peak: where `one_cycle` begins, and where it ends (nearly zero)."""


def rate(recipe: Recipe, done: int, total: int) -> float:
    """The learning rate of the step after `done` of `total` steps.

    `one_cycle` climbs from 1/25 of the peak by half a cosine and falls to nearly zero by another
    (Smith and Topin 2019, with PyTorch's numbers); `cosine` climbs in a line and falls to zero.

    Raises:
        ValueError: there is no such schedule.
    """
    if recipe.schedule not in SCHEDULES:
        known = ", ".join(SCHEDULES)
        raise ValueError(f"There is no schedule {recipe.schedule!r}; take one of {known}.")
    peak, climb = recipe.learning_rate, recipe.warmup * total
    if recipe.schedule == "constant":
        return peak
    if done < climb:
        way = done / climb
        one_cycle = START + (1 - START) * (1 - cos(pi * way)) / 2
        return peak * (one_cycle if recipe.schedule == "one_cycle" else (done + 1) / (climb + 1))
    lowest = END if recipe.schedule == "one_cycle" else 0.0
    way = (done - climb) / max(total - climb, 1)
    return peak * (lowest + (1 - lowest) * (1 + cos(pi * way)) / 2)
