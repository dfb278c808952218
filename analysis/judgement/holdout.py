"""Backtests: fit without the largest scales, predict them, and see how far off the law was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Vectors, predict_many
from analysis.engine.objective import Objective
from analysis.engine.refit import optimum, setup
from analysis.finding import Finding
from analysis.judgement.cuts import Cut, cut, levels_of, pooled_runs
from analysis.judgement.subsets import Part, missed, predictive, searched, unit_of
from analysis.law import Law
from analysis.points import ROWS_ALONE, Columns, Points, Pool, check_design, points
from analysis.runs import Runs
from trainers.schema import InputError

LARGEST = (1, 2, 4)


@dataclass(frozen=True)
class HeldOut:
    """One point that the law did not see; `row` is its place among the points.

    `error` is predicted / measured - 1 (None where nothing positive was measured), `residual` is
    predicted less measured in the unit of the objective, `width` half of the 95 % prediction
    interval in that unit (beyond 1, `residual / width` lies outside of it), `score` the natural
    logarithm of the density that the fit gave to what was measured.
    """

    row: int
    inputs: tuple[tuple[str, float], ...]
    measured: float
    predicted: float
    error: float | None
    residual: float
    width: float | None
    score: float | None

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
    return predicted(law, on, objective, [made], starts_of(law, on, objective))[0]


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
    return predicted(law, on, objective, largest_cuts(on, scale), starts_of(law, on, objective))


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
                "score": one.score,
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
    return on, scale_of(law, on)


def scale_of(law: Law, on: Points) -> Float[np.ndarray, " run"]:
    """The natural logarithm of the scale of each point: of the product of its inputs."""
    positive = [on.values[one.name] for one in law.inputs if one.positive]
    if positive:
        return _log_product(positive)
    return np.asarray(sum(on.values.values()), dtype=np.float64)


def largest_cuts(on: Points, scale: Float[np.ndarray, " run"]) -> list[Cut]:
    """The cuts below the largest 1, 2 and 4 scales, as far as there are more."""
    top = int(levels_of(scale).max(initial=0))
    return [cut(scale, on.cluster, count) for count in LARGEST if count <= top]


def starts_of(law: Law, on: Points, objective: Objective | None) -> Vectors | None:
    """The optima of all points, from which every part is fitted too; None if there are none."""
    try:
        check_design(law, on)
    except InputError:
        return None
    return optimum(setup(law, on, objective), certify=False).vectors


def predicted(
    law: Law,
    on: Points,
    objective: Objective | None,
    cuts: Sequence[Cut],
    start: Vectors | None,
) -> tuple[Backtest, ...]:
    """Fit one side of every cut and predict the other; `start` holds optima of all points.

    Each fit starts from these and from the fit of the next fewer points; a row that is censored is
    not tested.
    """
    tests: dict[int, Backtest] = {}
    known = () if start is None else (start,)
    fewer: tuple[Vectors, ...] = ()
    for place in sorted(range(len(cuts)), key=lambda at: int(cuts[at].kept.sum())):
        one = cuts[place]
        inner = on.part(one.kept)
        tested = one.tested if on.censored is None else one.tested & ~on.censored
        try:
            check_design(law, inner)
            if not tested.any():
                raise InputError("hold-out: expected rows to test that are not censored, got none")
            found = searched(setup(law, inner, objective), *known, *fewer)
        except InputError as error:
            tests[place] = Backtest(
                one.largest, len(inner), (), None, None, None, one.reach, str(error)
            )
            continue
        fewer = (found.vector,)
        tests[place] = _tested(on, one, tested, found)
    return tuple(tests[place] for place in range(len(cuts)))


def _tested(on: Points, made: Cut, tested: Bool[np.ndarray, " run"], found: Part) -> Backtest:
    law, outer, places = found.setup.law, on.part(tested), np.flatnonzero(tested)
    forecast = predict_many(law, found.vector, outer.values)[0]
    residual = missed(forecast, outer.measured, unit_of(found.setup.objective))
    expected = predictive(found, outer)
    widths = None if expected is None else expected.half()
    scores = None if expected is None else expected.log_density(residual)
    held = tuple(
        HeldOut(
            int(places[at]),
            tuple((name, float(outer.values[name][at])) for name in law.input_names),
            float(outer.measured[at]),
            float(forecast[at]),
            float(forecast[at] / outer.measured[at] - 1) if outer.measured[at] > 0 else None,
            float(residual[at]),
            None if widths is None else float(widths[at]),
            None if scores is None else float(scores[at]),
        )
        for at in range(len(outer))
    )
    error = error_of(held)
    return Backtest(
        made.largest,
        int(made.kept.sum()),
        held,
        error,
        float(residual.mean()),
        coverage_of(held),
        made.reach,
        "" if error is not None else "a relative error needs positive measurements",
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
                "without the largest scales, searches from several sides ended in different "
                "optima; the best one predicts",
            )
        )
    return found


def _log_product(columns: Sequence[Float[np.ndarray, " run"]]) -> Float[np.ndarray, " run"]:
    return np.sum([np.log(one) for one in columns], axis=0)
