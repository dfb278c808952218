"""Stop trials in several brackets, each with its own rungs: Ray Tune's ASHAScheduler once for each."""

import math

from sweeps.search import Hyperband
from sweeps.searching.judging import Bracket
from sweeps.searching.schedulers.asha import halving
from sweeps.spec import Objective


def brackets(scheduler: Hyperband, objective: Objective) -> tuple[Bracket, ...]:
    """One bracket for each first rung; the more rungs, the more trials, as Ray weighs them."""
    found: list[Bracket] = []
    for number in range(scheduler.brackets):
        grace = scheduler.grace * scheduler.reduction**number
        rungs = 1 + int(math.log(1 / grace) / math.log(scheduler.reduction) + 1e-9)
        found.append(halving(grace, scheduler.reduction, objective, weight=math.exp(rungs)))
    return tuple(found)
