"""The fit of a part of the points: from those of more and of fewer, or by a search of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.engine.compiled import Vectors, gradient_many, predict_many
from analysis.engine.objective import Objective, Residual
from analysis.engine.refit import Setup, optimum, refit
from analysis.law import Law
from analysis.points import Points
from analysis.uncertainty.distributions import t_log_density

SAME_OPTIMUM = 1e-6  # relative difference of two objectives that are the same optimum
SHARPEST = 1e-9  # the least scale of a density, where a law passes through every point
DEAD = 1e-12  # a direction whose curvature is below this share of the largest is not determined


@dataclass(frozen=True)
class Part:
    """The optimum of some points.

    `agreed` says that all searches and descents came to the same; where not, the best counts.
    """

    setup: Setup
    vector: Float[np.ndarray, "1 coefficient"]
    value: float
    converged: bool
    agreed: bool


def searched(of: Setup, *known: Vectors) -> Part:
    """The optimum of a fit, from optima of other fits of more or of fewer of its points.

    From two such fits, one with more and one with fewer points, a descent from each is enough where
    both come to the same; otherwise, the points are searched on their own as well.
    """
    warm = [refit(of, each) for each in known]
    warm = [each for each in warm if np.isfinite(each.value[0])]
    same = SAME_OPTIMUM, len(of.points) * max(of.surface.rounding, 1e-12 * of.objective.fits_scale)
    found = [
        Part(of, one.vectors[:1], float(one.value[0]), bool(one.converged[0]), True) for one in warm
    ]
    if len(found) < 2 or not _close(found, *same):
        own = optimum(of, certify=False)
        found.append(Part(of, own.vectors[:1], own.value, own.converged, True))
    best = min(found, key=lambda one: one.value)
    return replace(best, agreed=_close(found, *same))


def _close(found: Sequence[Part], relative: float, absolute: float) -> bool:
    values = [one.value for one in found]
    return bool(max(values) - min(values) <= relative * abs(min(values)) + absolute)


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


@dataclass(frozen=True)
class Predictive:
    """What a fit says of single new rows: Student t around its prediction, in the unit of `unit_of`.

    `scale` is the standard error of every row, `degrees` the fitted rows less the free coefficients.
    """

    scale: Float[np.ndarray, " run"]
    degrees: int

    def half(self, level: float = 0.95) -> Float[np.ndarray, " run"]:
        """Half of the prediction interval."""
        return self.scale * float(special.stdtrit(self.degrees, (1 + level) / 2))

    def log_density(self, residual: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
        """The natural logarithm of the density of what was measured."""
        return t_log_density(residual, self.degrees, np.maximum(self.scale, SHARPEST))


def predictive(of: Part, outer: Points) -> Predictive | None:
    """How far single new rows may lie from the prediction of a fit.

    The spread is that of the fitted residuals, and what is not known of the coefficients is added
    to first order; for a law that is linear in its unit and normal residuals this is exact. None
    where no row is to spare.
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
    return Predictive(spread * np.sqrt(_relative(outer, inner, unit) ** 2 + leverage), spare)


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
