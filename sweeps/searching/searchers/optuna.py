"""Suggest points with Ray Tune's OptunaSearch, built anew from what is known for every suggestion."""

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from ray.tune.search.optuna import OptunaSearch

from sweeps.ranges import Choice, LogUniform, LogWhole, Range, Uniform, Whole
from sweeps.search import OptunaSearcher
from sweeps.searching.past import Past
from sweeps.searching.points import Point, Space
from sweeps.spec import Objective


def suggest(
    searcher: OptunaSearcher,
    space: Space,
    past: Sequence[Past],
    objective: Objective,
    words: str,
) -> Point:
    """The point that Optuna's estimator expects most of, given all that is known.

    A trial that diverged counts as worse than all that finished, one that was stopped as worse than
    they but better than one that was stopped earlier; of one that failed nothing is learned. Trials
    that still train count as poor, so that the same place is not suggested twice.
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    running = [_params(each, space) for each in past if each.state == "open"]
    search = OptunaSearch(
        space={field: _distribution(one) for field, one in space.items()},
        metric=objective.metric,
        mode=objective.mode,
        points_to_evaluate=running,
        sampler=optuna.samplers.TPESampler(
            seed=_seed(searcher.seed, words), n_startup_trials=searcher.startup
        ),
    )
    for number in range(len(running)):  # it gives them back, and knows from then on that they train
        search.suggest(f"running {number}")
    for each in past:
        if each.state != "open":
            _tell(search, each, space)
    found = search.suggest("next")
    if not isinstance(found, dict):
        raise TypeError(f"expected a point of Optuna, got {found!r}")
    return {field: _value(one, found[field]) for field, one in space.items()}


def _tell(search: OptunaSearch, each: Past, space: Space) -> None:
    value: Any = each.value  # Ray says float, and hands None on for a trial that has no value
    search.add_evaluated_point(
        _params(each, space),
        value,
        error=each.state == "failed",
        pruned=each.state != "failed" and value is None,
        intermediate_values=list(each.values) or None,
    )


def _distribution(one: Range) -> BaseDistribution:
    match one:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Whole(low=low, high=high, step=step):
            return IntDistribution(low, high, step=step)
        case LogWhole(low=low, high=high):
            return IntDistribution(low, high, log=True)
        case Choice(values=values):  # by number: Optuna takes no mappings for a choice
            return CategoricalDistribution(tuple(range(len(values))))
    raise TypeError(f"expected a range that Optuna knows, got {one!r}")


def _params(each: Past, space: Space) -> dict[str, Any]:
    return {field: _inside(one, each.point[field]) for field, one in space.items()}


def _inside(one: Range, value: Any) -> Any:
    if isinstance(one, Choice):
        return [json.dumps(known) for known in one.values].index(json.dumps(value))
    return value


def _value(one: Range, found: Any) -> Any:
    return one.values[found] if isinstance(one, Choice) else found


def _seed(seed: int, words: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {words}".encode()).digest()[:4], "big")
