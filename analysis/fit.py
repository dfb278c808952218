"""Fit a law to runs: the coefficients with intervals, and what the data cannot tell, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from analysis.compiled import Vectors, predict_many
from analysis.engine import Optimum, Setup, curvature_at, misfit, on_bounds, optimum, refit, setup
from analysis.identify import Finding, findings
from analysis.law import Law, Values
from analysis.objective import Objective
from analysis.points import ROWS_ALONE, Columns, Points, Pool, check_design, points
from analysis.runs import Omitted, Runs
from analysis.uncertainty import Resample, interval, resamples, usable
from trainers.schema import InputError

Status = Literal["converged", "at a bound", "not identified", "not converged"]

RESAMPLES = 1_000


@dataclass(frozen=True)
class Estimate:
    """One fitted coefficient; the interval is a 95 % percentile interval over resamples.

    `standard_error`, `low` and `high` are None when nothing could be resampled.
    """

    name: str
    meaning: str
    value: float
    standard_error: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Fit:
    """A fitted law. `draws` holds the coefficients of every resample, in the order of the law.

    `objective` is the sum over rows of the loss that `setup.objective` names; `scale` is the fitted
    spread of the residuals, where that objective fits one. `agreed` says that two independent
    searches found the same optimum.
    """

    law: Law
    inputs: tuple[tuple[str, str], ...]
    target: str
    pool: Pool
    seed: int
    status: Status
    coefficients: tuple[Estimate, ...]
    objective: float
    scale: float | None
    agreed: bool
    warnings: tuple[Finding, ...]
    setup: Setup
    draws: Vectors
    drawn: str
    omitted: tuple[Omitted, ...]

    @property
    def points(self) -> Points:
        """What was fitted."""
        return self.setup.points

    @property
    def objective_used(self) -> Objective:
        """What the fit made small."""
        return self.setup.objective

    @property
    def rows(self) -> int:
        """The number of rows (or pooled cells) that were fitted."""
        return len(self.points)

    def coefficient(self, name: str) -> Estimate:
        """The estimate of that name."""
        return self.coefficients[self.law.place[name]]

    @property
    def vector(self) -> Float[np.ndarray, "1 coefficient"]:
        """The values of the coefficients, in the order of the law."""
        return np.array([[one.value for one in self.coefficients]])


def fit(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    objective: Objective | None = None,
    pool: Pool = "none",
    columns: Columns = ROWS_ALONE,
    bootstrap: int = RESAMPLES,
    resample: Resample = "auto",
    seed: int = 42,
) -> Fit:
    """Fit `law` to the runs; `inputs` gives the column of each input, `target` that of the target.

    The objective is the law's own, unless another is given. With `pool` the fit is of the median or
    mean of each cell of equal inputs.

    Raises:
        InputError: a column is missing or not positive, or the runs cannot determine the law.
    """
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(f"bootstrap: expected 0 or at least 2 resamples, got {bootstrap}")
    objective = law.objective if objective is None else objective
    signed = objective.residual == "plain" or objective.kind == "binomial"
    on = points(law, runs, inputs, target, pool, columns, signed)
    check_design(law, on)
    of = setup(law, on, objective)
    found = optimum(of)
    draws, drawn, refitted, scatter = _bootstrap(of, found, pool, resample, bootstrap, seed)
    best = found.vectors[:1]
    noticed = findings(
        law=law,
        on=on,
        constants=tuple(law.coefficients[at].name for at in of.surface.compiled.constants),
        majorant=_block(curvature_at(of, best, found.scale).majorant[0], law),
        at_bound=on_bounds(of, found.solution),
        best=best,
        converged=found.converged,
        agreed=found.agreed,
        refitted=refitted,
        draws=draws,
        drawn=drawn,
        asked=bootstrap,
        pool=pool,
        misfit=misfit(of, best)[0],
        scatter=scatter,
    )
    draws.setflags(write=False)
    return Fit(
        law=law,
        inputs=tuple((name, inputs[name]) for name in law.input_names),
        target=target,
        pool=pool,
        seed=seed,
        status=_status(noticed),
        coefficients=_estimates(law, best[0], draws),
        objective=found.value,
        scale=found.scale,
        agreed=found.agreed,
        warnings=noticed,
        setup=of,
        draws=draws,
        drawn=drawn,
        omitted=runs.omitted,
    )


def predict_fit(fitted: Fit, values: Values) -> Float[np.ndarray, " run"]:
    """The fitted law at other inputs."""
    return predict_many(fitted.law, fitted.vector, values)[0]


def band(
    fitted: Fit, values: Values
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]] | None:
    """The 95 % interval of the fitted law at other inputs; None without resamples."""
    if not len(fitted.draws):
        return None
    return interval(predict_many(fitted.law, fitted.draws, values))


def as_document(fitted: Fit) -> dict[str, Any]:
    """A fit as plain data for JSON; these names are public."""
    return {
        "law": fitted.law.name,
        "formula": fitted.law.formula,
        "source": fitted.law.source,
        "inputs": dict(fitted.inputs),
        "target": fitted.target,
        "coefficients": {
            one.name: {
                "value": one.value,
                "standard_error": one.standard_error,
                "low": one.low,
                "high": one.high,
            }
            for one in fitted.coefficients
        },
        "objective": fitted.objective,
        "objective_kind": fitted.objective_used.kind,
        "residual": fitted.objective_used.residual,
        "delta": fitted.objective_used.delta if fitted.objective_used.kind == "huber" else None,
        "scale": fitted.scale,
        "searches_agree": fitted.agreed,
        "status": fitted.status,
        "warnings": [{"code": one.code, "text": one.text} for one in fitted.warnings],
        "rows": fitted.rows,
        "resamples": len(fitted.draws),
        "resampled": fitted.drawn,
        "seed": fitted.seed,
        "omitted": [{"key": one.key, "reason": one.reason} for one in fitted.omitted],
    }


def _bootstrap(
    of: Setup, found: Optimum, pool: Pool, resample: Resample, count: int, seed: int
) -> tuple[Vectors, str, float, Float[np.ndarray, " run"] | None]:
    """The coefficients of every usable resample, what was drawn, the share that converged.

    Last comes the standard error of every residual, where its replicates tell it.
    """
    on, size = of.points, len(of.law.coefficients)
    if count == 0:
        return np.empty((0, size)), "nothing", 1.0, None
    drawn = resamples(on, pool, resample, count, seed)
    weight, measured = drawn.weight, drawn.measured
    if weight is not None:
        least = {one.name: one.levels for one in of.law.inputs}
        good = usable(on, weight, least, size)
        # Weights cannot move a law that passes through every point: that is no interval at all.
        if good.mean() < 0.5 or len(on) == size:
            return np.empty((0, size)), drawn.drawn, 1.0, None
        weight = weight[good]
    again = refit(of, found.vectors, weight=weight, measured=measured)
    scatter = None
    if measured is not None:
        scale = np.log(measured) if of.objective.residual == "log" else measured
        scatter = scale.std(axis=0, ddof=1)
    return again.vectors, drawn.drawn, float(again.converged.mean()), scatter


def _block(
    majorant: Float[np.ndarray, "variable variable"], law: Law
) -> Float[np.ndarray, "coefficient coefficient"]:
    size = len(law.coefficients)
    return majorant[:size, :size]


def _estimates(
    law: Law,
    values: Float[np.ndarray, " coefficient"],
    draws: Float[np.ndarray, "draw coefficient"],
) -> tuple[Estimate, ...]:
    if not len(draws):
        return tuple(
            Estimate(one.name, one.meaning, float(value), None, None, None)
            for one, value in zip(law.coefficients, values, strict=True)
        )
    low, high = interval(draws)
    errors = draws.std(axis=0, ddof=1)
    return tuple(
        Estimate(one.name, one.meaning, *map(float, numbers))
        for one, *numbers in zip(law.coefficients, values, errors, low, high, strict=True)
    )


def _status(noticed: tuple[Finding, ...]) -> Status:
    """The worst of what was found."""
    for status in ("not identified", "not converged", "at a bound"):
        if any(one.status == status for one in noticed):
            return status
    return "converged"
