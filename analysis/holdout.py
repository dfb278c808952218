"""Backtests: fit without the largest scales, predict them, and see how far off the law was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.compiled import predict_many
from analysis.engine import optimum, setup
from analysis.law import Law
from analysis.objective import Objective
from analysis.points import Points, Pool, check_design, level_of, points
from analysis.runs import Runs
from trainers.schema import InputError

LARGEST = (1, 2, 4)


@dataclass(frozen=True)
class HeldOut:
    """One point that the law did not see; `error` is predicted / measured - 1."""

    inputs: tuple[tuple[str, float], ...]
    measured: float
    predicted: float
    error: float


@dataclass(frozen=True)
class Backtest:
    """The law fitted to `fitted` points and tested on the `largest` scales.

    `error` is the mean of the absolute relative errors; None when the rest could not be fitted,
    for the reason in `refused`. `reach` is the largest held-out scale over the largest fitted one.
    """

    largest: int
    fitted: int
    points: tuple[HeldOut, ...]
    error: float | None
    reach: float
    refused: str


def hold_out(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    largest: int,
    pool: Pool = "none",
    objective: Objective | None = None,
    by: Sequence[str] = (),
) -> Backtest:
    """Leave out the `largest` scales (all points of each), fit the rest, predict them.

    The scale of a point is the product of its inputs, which for sizes and tokens is compute. For
    rows that are not pooled it may be that of the columns in `by` instead, so that laws of
    different inputs are tested on the same rows.

    Raises:
        InputError: a column is not fit for a law, or there are no more scales than are left out.
    """
    on = points(law, runs, inputs, target, pool)
    scale = _scale(on, runs, by)
    level = level_of(scale)
    if largest < 1 or largest > level.max(initial=0):
        raise InputError(
            f"hold-out: expected 1 to {level.max(initial=0)} of the {level.max(initial=0) + 1} "
            f"scales, got {largest}"
        )
    kept = level <= level.max() - largest
    reach = float(scale.max() / scale[kept].max())
    inner, outer = on.part(kept), on.part(~kept)
    try:
        check_design(law, inner)
    except InputError as error:
        return Backtest(largest, len(inner), (), None, reach, str(error))
    predicted = predict_many(law, best_vector(law, inner, objective), outer.values)[0]
    held = tuple(
        HeldOut(
            tuple((name, float(outer.values[name][place])) for name in law.input_names),
            float(outer.measured[place]),
            float(predicted[place]),
            float(predicted[place] / outer.measured[place] - 1),
        )
        for place in range(len(outer))
    )
    error = float(np.mean([abs(one.error) for one in held]))
    return Backtest(largest, len(inner), held, error, reach, "")


def backtests(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    pool: Pool = "none",
    objective: Objective | None = None,
    by: Sequence[str] = (),
) -> tuple[Backtest, ...]:
    """Hold out the largest 1, 2 and 4 scales, as far as there are more."""
    on = points(law, runs, inputs, target, pool)
    scales = 1 + int(level_of(_scale(on, runs, by)).max(initial=0))
    return tuple(
        hold_out(law, runs, inputs, target, largest=count, pool=pool, objective=objective, by=by)
        for count in LARGEST
        if count < scales
    )


def _scale(on: Points, runs: Runs, by: Sequence[str]) -> Float[np.ndarray, " run"]:
    columns = [runs.numbers(name) for name in by] if by else list(on.values.values())
    if len(columns[0]) != len(on):
        raise InputError("hold-out: expected rows that are not pooled beside other columns")
    return np.exp(sum(np.log(one) for one in columns))


def best_vector(
    law: Law, on: Points, objective: Objective | None
) -> Float[np.ndarray, "1 coefficient"]:
    """The fitted coefficients of some points, without intervals."""
    return optimum(setup(law, on, objective), certify=False).vectors[:1]
