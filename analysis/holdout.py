"""Backtests: fit without the largest scales, predict them, and see how far off the law was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.compiled import Vectors, predict_many
from analysis.cuts import Cut, cut, levels_of, pooled_runs
from analysis.engine import optimum, setup
from analysis.finding import Finding
from analysis.law import Law
from analysis.objective import Objective
from analysis.points import ROWS_ALONE, Columns, Points, Pool, check_design, points
from analysis.runs import Runs
from analysis.subsets import best_of, half_width, missed, unit_of
from trainers.schema import InputError

LARGEST = (1, 2, 4)


@dataclass(frozen=True)
class HeldOut:
    """One point that the law did not see; `row` is its place among the points.

    `error` is predicted / measured - 1 (None where nothing positive was measured), `residual` is
    predicted less measured in the unit of the objective, `width` half of the 95 % prediction
    interval in that unit: beyond 1, `residual / width` lies outside of it.
    """

    row: int
    inputs: tuple[tuple[str, float], ...]
    measured: float
    predicted: float
    error: float | None
    residual: float
    width: float | None

    @property
    def units(self) -> float | None:
        """The residual in half widths of the prediction interval."""
        if self.width is None:
            return None
        return self.residual / self.width if self.width > 0 else 0.0


@dataclass(frozen=True)
class Backtest:
    """The law fitted to `fitted` points and tested on others, of larger scales.

    `largest` counts the scales above those that were fitted. `error` is the mean of the absolute
    relative errors; None when the rest could not be fitted, for the reason in `refused`. `reach` is
    the largest tested scale over the largest fitted one, `bias` the mean residual, `coverage` the
    share of points within their 95 % prediction interval.
    """

    largest: int
    fitted: int
    points: tuple[HeldOut, ...]
    error: float | None
    bias: float | None
    coverage: float | None
    reach: float
    refused: str
    warnings: tuple[Finding, ...] = ()


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
    columns: Columns = ROWS_ALONE,
) -> Backtest:
    """Leave out the `largest` scales (all points of each), fit the rest, predict them.

    The scale of a point is the product of its inputs, which for sizes and tokens is compute; or
    that of the columns in `by`, so that laws of different inputs are tested on the same rows (cells
    are then of equal values of these columns too). A run (a cluster) that has any row of a scale
    that is left out is not fitted at all.

    Raises:
        InputError: a column is not fit for a law, or there are no more scales than are left out.
    """
    on, scale = scaled(law, runs, inputs, target, pool, objective, by, columns)
    made = cut(scale, on.cluster, largest)
    return backtest(law, on, objective, made, starts_of(law, on, objective))


def backtests(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    pool: Pool = "none",
    objective: Objective | None = None,
    by: Sequence[str] = (),
    columns: Columns = ROWS_ALONE,
) -> tuple[Backtest, ...]:
    """Hold out the largest 1, 2 and 4 scales, as far as there are more."""
    on, scale = scaled(law, runs, inputs, target, pool, objective, by, columns)
    start = starts_of(law, on, objective)
    return tuple(
        backtest(law, on, objective, cut(scale, on.cluster, count), start)
        for count in LARGEST
        if count < levels_of(scale).max(initial=0) + 1
    )


def as_document(test: Backtest) -> dict[str, Any]:
    """A backtest as plain data for JSON."""
    return {
        "largest": test.largest,
        "fitted": test.fitted,
        "error": test.error,
        "bias": test.bias,
        "coverage": test.coverage,
        "reach": test.reach,
        "refused": test.refused,
        "warnings": [{"code": one.code, "text": one.text} for one in test.warnings],
        "points": [
            {
                **dict(one.inputs),
                "row": one.row,
                "measured": one.measured,
                "predicted": one.predicted,
                "error": one.error,
                "residual": one.residual,
                "width": one.width,
            }
            for one in test.points
        ],
    }


def scaled(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    pool: Pool,
    objective: Objective | None,
    by: Sequence[str],
    columns: Columns,
) -> tuple[Points, Float[np.ndarray, " run"]]:
    """The points of a fit and the natural logarithm of the scale of each."""
    used = law.objective if objective is None else objective
    signed = unit_of(used) == "plain"
    if by and pool != "none":
        runs = pooled_runs(runs, [*inputs.values(), *by], target, pool, signed)
        pool = "none"
    on = points(law, runs, inputs, target, pool, columns, signed)
    if by:
        return on, _log_product([runs.numbers(name) for name in by])
    positive = [on.values[one.name] for one in law.inputs if one.positive]
    if positive:
        return on, _log_product(positive)
    return on, np.asarray(sum(on.values.values()), dtype=np.float64)


def starts_of(law: Law, on: Points, objective: Objective | None) -> Vectors | None:
    """The optima of all points, from which every part is fitted too; None if there are none."""
    try:
        check_design(law, on)
    except InputError:
        return None
    return optimum(setup(law, on, objective), certify=False).vectors


def backtest(
    law: Law, on: Points, objective: Objective | None, made: Cut, start: Vectors | None
) -> Backtest:
    """Fit one side of a cut and predict the other; rows that are censored are not tested."""
    inner, size = on.part(made.kept), int(made.kept.sum())
    tested = made.tested if on.censored is None else made.tested & ~on.censored
    try:
        check_design(law, inner)
        if not tested.any():
            raise InputError("hold-out: expected rows that are not censored to test on, got none")
        found = best_of(law, inner, objective, start)
    except InputError as error:
        return Backtest(made.largest, size, (), None, None, None, made.reach, str(error))
    outer, places = on.part(tested), np.flatnonzero(tested)
    predicted = predict_many(law, found.vector, outer.values)[0]
    residual = missed(predicted, outer.measured, unit_of(found.setup.objective))
    widths = half_width(found, outer)
    held = tuple(
        HeldOut(
            int(places[at]),
            tuple((name, float(outer.values[name][at])) for name in law.input_names),
            float(outer.measured[at]),
            float(predicted[at]),
            float(predicted[at] / outer.measured[at] - 1) if outer.measured[at] > 0 else None,
            float(residual[at]),
            None if widths is None else float(widths[at]),
        )
        for at in range(len(outer))
    )
    return Backtest(
        made.largest,
        size,
        held,
        error_of(held),
        float(residual.mean()),
        coverage_of(held),
        made.reach,
        "" if error_of(held) is not None else "a relative error needs positive measurements",
        tuple(_warnings(made, found.converged, found.agreed)),
    )


def error_of(held: Sequence[HeldOut]) -> float | None:
    """The mean of the absolute relative errors."""
    errors = [one.error for one in held if one.error is not None]
    return float(np.mean(np.abs(errors))) if errors and len(errors) == len(held) else None


def coverage_of(held: Sequence[HeldOut]) -> float | None:
    """The share of points within their prediction interval."""
    units = [one.units for one in held if one.units is not None]
    return float(np.mean(np.abs(units) <= 1)) if units else None


def _warnings(made: Cut, converged: bool, agreed: bool) -> list[Finding]:
    found: list[Finding] = []
    if made.leaks:
        found.append(
            Finding(
                "runs_span_scales",
                "every run has rows at the scales that are left out, so rows of one run were "
                "fitted and tested: the error is flattering",
            )
        )
    if not converged:
        found.append(
            Finding("not_converged", "the fit without the largest scales did not converge")
        )
    if not agreed:
        found.append(
            Finding(
                "searches_disagree",
                "without the largest scales, the search of what is left and the descent from the "
                "fit of all rows ended in different optima; the better one predicts",
            )
        )
    return found


def _log_product(columns: Sequence[Float[np.ndarray, " run"]]) -> Float[np.ndarray, " run"]:
    return np.sum([np.log(one) for one in columns], axis=0)
