"""Stop trials that are worse than the median of the others, with Ray Tune's MedianStoppingRule."""

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import MedianStoppingRule

from sweeps.search import Median
from sweeps.searching.judging import NOBODY, PROGRESS, WHOLE, Bracket, Judged, as_trial
from sweeps.spec import Objective


def brackets(scheduler: Median, objective: Objective) -> tuple[Bracket, ...]:
    """All trials are compared with each other."""
    judge = MedianStoppingRule(
        time_attr=PROGRESS,
        metric=objective.metric,
        mode=objective.mode,
        grace_period=round(scheduler.grace * WHOLE),
        min_samples_required=scheduler.samples,
    )

    def replay(trial: Judged, result: Mapping[str, Any]) -> None:
        # the rule takes in what a trial ends with as it takes in any result, but decides nothing
        judge.on_trial_complete(NOBODY, as_trial(trial), dict(result))

    words = f"the median of {scheduler.samples} or more others' means up to there"
    return (Bracket(judge, 1.0, replay, lambda progress: f"below {words}"),)
