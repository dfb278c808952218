"""Stop trials at rungs of their budget, with Ray Tune's ASHAScheduler."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from ray.tune.schedulers import ASHAScheduler

from sweeps.search import Asha
from sweeps.searching.judging import NOBODY, PROGRESS, WHOLE, Bracket, Judged, as_trial
from sweeps.spec import Objective

_RUNG = re.compile(r"Iter ([0-9.]+): (\S+)")


def brackets(scheduler: Asha, objective: Objective) -> tuple[Bracket, ...]:
    """All trials in one bracket."""
    return (halving(scheduler.grace, scheduler.reduction, objective, weight=1.0),)


def halving(grace: float, reduction: float, objective: Objective, *, weight: float) -> Bracket:
    """A bracket whose first rung is at the share `grace` of the budget.

    The rungs of a search that is taken up again hold the same values as before, since the points of
    all trials are given to them again. Only the last point of a trial that was interrupted is judged
    anew, by what is known then, which may be more than when it was judged first.
    """
    judge = ASHAScheduler(
        time_attr=PROGRESS,
        metric=objective.metric,
        mode=objective.mode,
        max_t=WHOLE,
        grace_period=round(grace * WHOLE),
        reduction_factor=reduction,
        stop_last_trials=False,
    )

    def replay(trial: Judged, result: Mapping[str, Any]) -> None:
        judge.on_trial_result(NOBODY, as_trial(trial), dict(result))

    def measure(progress: int) -> str:
        return _rung(judge.debug_string(), progress, objective.mode)

    return Bracket(judge, weight, replay, measure)


def _rung(text: str, progress: int, mode: Literal["min", "max"]) -> str:
    """The rung that a trial has reached, and its cutoff, out of Ray's own description."""
    for milestone, cutoff in _RUNG.findall(text):  # the last rung comes first
        if float(milestone) <= progress:
            where = f"rung at {float(milestone) / WHOLE:.1%} of the budget"
            if cutoff == "None":
                return where
            sign = 1.0 if mode == "max" else -1.0  # Ray negates what is minimized
            return f"{where}, cutoff {sign * float(cutoff):.6g}"
    return ""
