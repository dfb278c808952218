"""Fit a law to runs: the coefficients with intervals, and what the data cannot tell, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import Vectors, predict_many
from analysis.engine.objective import Objective
from analysis.engine.refit import Setup, on_bounds, optimum, setup
from analysis.finding import Finding
from analysis.identify.combinations import Combination, combinations
from analysis.identify.evidence import Evidence
from analysis.identify.findings import findings
from analysis.law import Law, Values
from analysis.points import ROWS_ALONE, Columns, Points, Pool, check_design, points
from analysis.runs import Omitted, Runs
from analysis.uncertainty.bootstrap import bootstrap as drawn_again
from analysis.uncertainty.intervals import PLAIN, IntervalKind, Reading, ends
from analysis.uncertainty.known_noise import chi_square
from analysis.uncertainty.resamples import Resample
from trainers.schema import InputError

Status = Literal["converged", "at a bound", "not identified", "not converged"]

RESAMPLES = 1_000


@dataclass(frozen=True)
class Estimate:
    """One fitted coefficient, with its interval over resamples at the level of the fit.

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
    searches found the same optimum. Intervals are of the share `level`, read from the draws as
    `reading` says; `refitted` is the share of resamples that converged.
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
    level: float = 0.95
    reading: Reading = PLAIN
    refitted: float = 1.0

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
    def combinations(self) -> tuple[Combination, ...]:
        """What is determined also where single coefficients are not."""
        return combinations(self.setup, self.vector, self.draws, self.level, self.reading)

    @property
    def interval_kind(self) -> IntervalKind:
        """What the intervals are, in a word or two."""
        return self.reading.kind if len(self.draws) else "none"

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
    level: float = 0.95,
) -> Fit:
    """Fit `law` to the runs; `inputs` gives the column of each input, `target` that of the target.

    The objective is the law's own, unless another is given. With `pool` the fit is of the median or
    mean of each cell of equal inputs. `resample` says what the bootstrap draws again: by itself
    ("auto") the replicates of pooled cells, whole clusters, or rows. `level` is the share that
    intervals are to cover.

    Raises:
        InputError: a column is missing or not positive, or the runs cannot determine the law.
    """
    if not 0 < level < 1:
        raise InputError(f"level: expected a number between 0 and 1, got {level}")
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(f"bootstrap: expected 0 or at least 2 resamples, got {bootstrap}")
    objective = law.objective if objective is None else objective
    signed = objective.residual == "plain" or objective.kind == "binomial"
    on = points(law, runs, inputs, target, pool, columns, signed)
    check_design(law, on)
    of = setup(law, on, objective)
    found = optimum(of)
    if not np.isfinite(found.value):
        raise InputError(
            f"law {law.name}: expected rows that it can predict, found no coefficients within their "
            f"bounds that give all {len(on)} a finite{'' if signed else ' and positive'} {law.target}"
        )
    again = drawn_again(of, found, pool, resample, bootstrap, seed)
    noticed = findings(
        Evidence(
            of=of,
            found=found,
            at_bound=on_bounds(of, found.solution),
            draws=again.draws,
            drawn=again.drawn,
            asked=bootstrap,
            pool=pool,
            seed=seed,
            refitted=again.converged,
            scatter=again.scatter,
        )
    )
    again.draws.setflags(write=False)
    return Fit(
        law=law,
        inputs=tuple((name, inputs[name]) for name in law.input_names),
        target=target,
        pool=pool,
        seed=seed,
        status=_status(noticed),
        coefficients=_estimates(law, found.vectors[0], again.draws, level, again.reading),
        objective=found.value,
        scale=found.scale,
        agreed=found.agreed,
        warnings=noticed,
        setup=of,
        draws=again.draws,
        drawn=again.drawn,
        omitted=runs.omitted,
        level=level,
        reading=again.reading,
        refitted=again.converged,
    )


def predict_fit(fitted: Fit, values: Values) -> Float[np.ndarray, " run"]:
    """The fitted law at other inputs."""
    return predict_many(fitted.law, fitted.vector, values)[0]


def band(
    fitted: Fit, values: Values, level: float | None = None
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]] | None:
    """The interval of the fitted law at other inputs, at the fit's level unless another is given.

    None without resamples.
    """
    if not len(fitted.draws):
        return None
    draws, centre = predict_many(fitted.law, fitted.draws, values), predict_fit(fitted, values)
    return ends(draws, centre, fitted.level if level is None else level, fitted.reading)


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
        "combinations": {
            one.name: {
                "meaning": one.meaning,
                "value": one.value,
                "low": one.low,
                "high": one.high,
            }
            for one in fitted.combinations
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
        "resamples_converged": fitted.refitted,
        "level": fitted.level,
        "interval_kind": fitted.interval_kind,
        "noise": noise_document(fitted),
        "seed": fitted.seed,
        "omitted": [{"key": one.key, "reason": one.reason} for one in fitted.omitted],
    }


def noise_document(fitted: Fit) -> dict[str, float] | None:
    """How the residuals compare with the known noise of the rows, as plain data; None without it."""
    found = chi_square(fitted.setup, fitted.vector)
    if found is None:
        return None
    return {
        "chi_square": found.value,
        "degrees": found.degrees,
        "per_degree": found.per_degree,
        "chance": found.chance,
    }


def _estimates(
    law: Law,
    values: Float[np.ndarray, " coefficient"],
    draws: Float[np.ndarray, "draw coefficient"],
    level: float,
    reading: Reading,
) -> tuple[Estimate, ...]:
    if not len(draws):
        return tuple(
            Estimate(one.name, one.meaning, float(value), None, None, None)
            for one, value in zip(law.coefficients, values, strict=True)
        )
    low, high = ends(draws, values, level, reading)
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
