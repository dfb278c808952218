"""The fit of a part of the points, searched on its own and from the fit of all of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.compiled import Vectors, gradient_many, predict_many
from analysis.engine import Setup, misfit, optimum, refit, setup
from analysis.law import Law
from analysis.objective import Objective, Residual
from analysis.points import Points

SAME_OPTIMUM = 1e-6  # relative difference of two objectives that are the same optimum
DEAD = 1e-12  # a direction whose curvature is below this share of the largest is not determined


@dataclass(frozen=True)
class Part:
    """The optimum of some points.

    `agreed` says that a search of these points alone and a descent from the optimum of all points
    came to the same; where they did not, the better counts.
    """

    setup: Setup
    vector: Float[np.ndarray, "1 coefficient"]
    value: float
    converged: bool
    agreed: bool


def best_of(law: Law, on: Points, objective: Objective | None, start: Vectors | None) -> Part:
    """Fit some points by a search of their own, and from `start`: the optima of all the points.

    Raises:
        InputError: the objective cannot be used with these points.
    """
    return searched(setup(law, on, objective), start)


def searched(of: Setup, start: Vectors | None) -> Part:
    """The optimum of a fit by a search of its own and, if there is one, from `start`."""
    own = optimum(of, certify=False)
    found = Part(of, own.vectors[:1], own.value, own.converged, True)
    if start is None:
        return found
    warm = refit(of, start)
    value = float(warm.value[0])
    if not np.isfinite(value):
        return found
    rounding = len(of.points) * max(of.surface.rounding, 1e-12 * of.objective.fits_scale)
    agreed = abs(value - own.value) <= SAME_OPTIMUM * abs(own.value) + rounding
    if value < own.value:
        return Part(of, warm.vectors[:1], value, bool(warm.converged[0]), agreed)
    return Part(of, own.vectors[:1], own.value, own.converged, agreed)


def unit_of(objective: Objective) -> Residual:
    """The unit of a left-out residual: shares of counts are compared as they are."""
    return "plain" if objective.kind == "binomial" else objective.residual


def missed(
    predicted: Float[np.ndarray, "*more run"], measured: Float[np.ndarray, " run"], unit: Residual
) -> Float[np.ndarray, "*more run"]:
    """Predicted less measured, of natural logarithms or plain; infinite where there is no log."""
    if unit == "plain":
        return predicted - measured
    with np.errstate(all="ignore"):
        return np.where(predicted > 0, np.log(predicted), -np.inf) - np.log(measured)


def half_width(of: Part, outer: Points, level: float = 0.95) -> Float[np.ndarray, " run"] | None:
    """Half of the prediction interval for single new rows, in the unit of `unit_of`.

    The spread is that of the fitted residuals, n less the free coefficients in number, and what is
    not known of the coefficients is added to first order; for a law that is linear in its unit this
    is the exact interval of normal residuals. None where no row is to spare.
    """
    law, inner = of.setup.law, of.setup.points
    unit = unit_of(of.setup.objective)
    noise = _relative(inner, inner, unit)
    at = _slope(law, of.vector, inner, unit) / noise[:, None]
    beyond = _slope(law, of.vector, outer, unit)
    size = np.sqrt((at**2).sum(axis=0))
    free = np.isfinite(size) & (size > 0) & ~_bound(law, of.vector[0])
    spare = len(inner) - int(free.sum())
    if spare < 1:
        return None
    residual = missed(predict_many(law, of.vector, inner.values)[0], inner.measured, unit) / noise
    spread = np.sqrt((residual**2).sum() / spare)
    _, values, directions = np.linalg.svd(at[:, free] / size[free], full_matrices=False)
    values = np.maximum(values, DEAD * values.max(initial=1.0))
    leverage = (((beyond[:, free] / size[free]) @ directions.T / values) ** 2).sum(axis=1)
    quantile = float(special.stdtrit(spare, (1 + level) / 2))
    width = quantile * spread * np.sqrt(_relative(outer, inner, unit) ** 2 + leverage)
    return np.asarray(width)


def spread_of(of: Setup, vector: Vectors) -> float:
    """The standard deviation of the residuals, n less the coefficients in number."""
    spare = max(len(of.points) - len(of.law.coefficients), 1)
    return float(np.sqrt((misfit(of, vector)[0] ** 2).sum() / spare))


def _slope(
    law: Law, vector: Vectors, on: Points, unit: Residual
) -> Float[np.ndarray, "run coefficient"]:
    slope = gradient_many(law, vector, on.values)[0]
    if unit == "plain":
        return slope
    with np.errstate(all="ignore"):
        return slope / predict_many(law, vector, on.values)[0][:, None]


def _bound(law: Law, vector: Float[np.ndarray, " coefficient"]) -> np.ndarray:
    """Which coefficients stand on a bound, where they do not vary."""
    return np.array(
        [
            not one.of and (value <= one.low or value >= one.high)
            for one, value in zip(law.coefficients, vector, strict=True)
        ]
    )


def _relative(of: Points, usual: Points, unit: Residual) -> Float[np.ndarray, " run"]:
    """The noise of every row over that of the usual row."""
    if of.noise is None or usual.noise is None:
        return np.ones(len(of))
    if unit == "plain":
        return of.noise / np.median(usual.noise)
    return of.noise / of.measured / np.median(usual.noise / usual.measured)
