"""Fit a law to runs: the coefficients with intervals, and what the data cannot tell, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from analysis.identify import Finding, findings
from analysis.law import Law, Values, predict_many
from analysis.objective import Surface, Targets, curvature, held, natural, predicted, surface
from analysis.points import Points, Pool, check_design, log_points, points
from analysis.runs import Omitted, Runs
from analysis.solver import Solution, resolve, solve
from analysis.uncertainty import interval, resamples, usable
from trainers.schema import InputError

Status = Literal["converged", "at a bound", "not identified", "not converged"]

DELTA = 1e-3  # in natural-log units of the loss; Hoffmann et al. 2022, section 3.3
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

    `objective` is the sum over rows of the Huber loss of the log residuals.
    """

    law: Law
    inputs: tuple[tuple[str, str], ...]
    target: str
    pool: Pool
    delta: float
    seed: int
    status: Status
    coefficients: tuple[Estimate, ...]
    objective: float
    warnings: tuple[Finding, ...]
    points: Points
    draws: Float[np.ndarray, "draw coefficient"]
    drawn: str
    omitted: tuple[Omitted, ...]

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
    pool: Pool = "none",
    delta: float = DELTA,
    bootstrap: int = RESAMPLES,
    seed: int = 42,
    cluster: str | None = None,
) -> Fit:
    """Fit `law` to the runs; `inputs` gives the column of each input, `target` that of the loss.

    With `pool` the fit is of the median or mean of each cell of equal inputs, and the bootstrap
    draws the replicates of each cell again. Without it rows are drawn, or whole clusters.

    Raises:
        InputError: a column is missing or not positive, or the runs cannot determine the law.
    """
    if not (np.isfinite(delta) and delta > 0):
        raise InputError(f"delta: expected a positive number, got {delta}")
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(f"bootstrap: expected 0 or at least 2 resamples, got {bootstrap}")
    if cluster is not None and pool != "none":
        raise InputError("cluster: expected rows that are not pooled")
    on = points(law, runs, inputs, target, pool, cluster)
    check_design(law, on)
    logs, log_loss = log_points(law, on)
    here = surface(law, logs, log_loss)
    targets = Targets((log_loss - here.log_scale)[None], np.ones((1, len(on))))
    found = solve(here, targets, delta)
    draws, drawn, refitted, scatter = _bootstrap(on, here, found, pool, delta, bootstrap, seed)
    best = found.vectors[:1]
    bends = curvature(here, targets, best, delta)
    noticed = findings(
        law=law,
        on=on,
        surface=here,
        best=best,
        majorant=bends.majorant[0],
        at_bound=held(here, best, bends.gradient)[0],
        converged=bool(found.converged[0]),
        refitted=refitted,
        draws=draws,
        drawn=drawn,
        asked=bootstrap,
        pool=pool,
        misfit=np.log(predicted(here, best)[0]) - targets.log_loss[0],
        scatter=scatter,
    )
    natural_draws = natural(here, draws)
    natural_draws.setflags(write=False)
    return Fit(
        law=law,
        inputs=tuple((name, inputs[name]) for name in law.input_names),
        target=target,
        pool=pool,
        delta=delta,
        seed=seed,
        status=_status(noticed),
        coefficients=_estimates(law, natural(here, best)[0], natural_draws),
        objective=float(found.value[0]),
        warnings=noticed,
        points=on,
        draws=natural_draws,
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
        "delta": fitted.delta,
        "status": fitted.status,
        "warnings": [{"code": one.code, "text": one.text} for one in fitted.warnings],
        "rows": fitted.rows,
        "resamples": len(fitted.draws),
        "resampled": fitted.drawn,
        "seed": fitted.seed,
        "omitted": [{"key": one.key, "reason": one.reason} for one in fitted.omitted],
    }


def _bootstrap(
    on: Points, here: Surface, found: Solution, pool: Pool, delta: float, count: int, seed: int
) -> tuple[Float[np.ndarray, "draw coefficient"], str, float, Float[np.ndarray, " run"] | None]:
    """The coefficients of every usable resample, what was drawn, the share that converged.

    Last comes the standard error of every log loss, where its replicates tell it.
    """
    if count == 0:
        return np.empty((0, found.vectors.shape[1])), "nothing", 1.0, None
    drawn = resamples(on, pool, here.log_scale, count, seed)
    targets = drawn.targets
    if len(targets.weight) > 1:
        least = {one.name: one.levels for one in here.law.inputs}
        good = usable(on, targets, least, found.vectors.shape[1])
        # Weights cannot move a law that passes through every point: that is no interval at all.
        if good.mean() < 0.5 or len(on) == found.vectors.shape[1]:
            return np.empty((0, found.vectors.shape[1])), drawn.drawn, 1.0, None
        targets = targets.of(good)
    again = resolve(here, targets, found, delta)
    scatter = targets.log_loss.std(axis=0, ddof=1) if len(targets.log_loss) > 1 else None
    return again.vectors, drawn.drawn, float(again.converged.mean()), scatter


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
