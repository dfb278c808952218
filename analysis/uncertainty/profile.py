"""Profile of one coefficient: how low the objective gets for each of its values, all others refitted.

Where coefficients are bent or trade off, the values at which the profile has risen by no more than
noise explains are a better interval than any standard error. Sources: Wilks 1938, The large-sample
distribution of the likelihood ratio for testing composite hypotheses; Bates and Watts 1988, Nonlinear
Regression Analysis and Its Applications (profiles of least squares).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.engine.compiled import Vectors
from analysis.engine.refit import Setup
from analysis.fit import Fit
from analysis.uncertainty.covariance import Covariance, covariance
from analysis.uncertainty.linearised import Linearised, linearised
from analysis.uncertainty.profile_path import bounds, crossings, joined, outwards, spaced, warmed
from trainers.schema import InputError

FLAT = (0.002, 0.01)  # relative rises of the objective by which flatness is measured
CLOSER = 48  # evenly spaced values that are looked at before an end is settled
BEYOND = 0.3  # of the interval: how far a profile is shown on either side of it


@dataclass(frozen=True)
class Flat:
    """The values of a coefficient for which the objective is at most the share `rise` above its least.

    Where the scale of the residuals is fitted, the share is that of the sum of squares (or of absolute
    residuals) that it stands for.
    """

    rise: float
    low: float
    high: float


@dataclass(frozen=True)
class Profile:
    """The least objective for each value of one coefficient, and the interval that follows.

    Beyond `low` and `high` it has risen by more than `rise`, which `calibration` explains (between them
    it may, where a profile has several valleys); an open end is the bound of the coefficient, or the
    last value that was tried, before which it has not. `vectors` holds all coefficients for each value.
    `lowest` is the least objective that was met, which is below that of the fit only if the fit missed
    it. `converged` is the share of the refits shown that converged.
    """

    name: str
    level: float
    values: Float[np.ndarray, " point"]
    objective: Float[np.ndarray, " point"]
    vectors: Float[np.ndarray, "point coefficient"]
    lowest: float
    low: float
    high: float
    low_open: bool
    high_open: bool
    rise: float
    calibration: str
    flat: tuple[Flat, ...]
    converged: float


def profile(fitted: Fit, name: str, *, points: int = 41, level: float | None = None) -> Profile:
    """The profile of a coefficient on `points` values that reach a little beyond its interval.

    Every value is refitted from several starts, and from the answers of its neighbours on both sides.

    Raises:
        InputError: there is no such coefficient, or no row to spare.
    """
    of, level = fitted.setup, fitted.level if level is None else level
    if name not in of.law.place:
        known = ", ".join(of.law.place)
        raise InputError(f"profile: expected a coefficient of {known}, got {name!r}")
    if points < 2:
        raise InputError(f"profile: expected at least 2 points, got {points}")
    if len(of.points) <= len(of.law.coefficients):
        raise InputError(
            f"profile: expected more rows than the {len(of.law.coefficients)} coefficients, "
            f"got {len(of.points)}"
        )
    place, best = of.law.place[name], fitted.vector
    spread = covariance(of, best, fitted.scale)
    rise, calibration = threshold(of, best, fitted.scale, spread, place, level)
    tiny = len(of.points) * of.surface.rounding + 1e-12 * abs(fitted.objective)
    rises = [max(one, tiny) for one in (rise, *(_flat(fitted, share) for share in FLAT))]
    along = outwards(of, place, best, spread, max(rises))
    lows, highs = (crossings(of, along, np.array(rises), side) for side in (-1, 1))
    # Between the steps outwards a profile may fall again: a look at evenly spaced values.
    wide = _ends(of, place, min(one.value for one in lows), max(one.value for one in highs))
    closer = spaced(of, along, *wide, CLOSER, max(rises))
    along = warmed(of, joined(along, closer), max(rises))
    lows, highs = (crossings(of, along, np.array(rises), side) for side in (-1, 1))
    ends = _ends(of, place, lows[0].value, highs[0].value)
    shown = spaced(of, along, *ends, points, max(rises))
    return Profile(
        name=name,
        level=level,
        values=shown.values,
        objective=shown.objective,
        vectors=shown.vectors,
        lowest=float(min(along.objective.min(), shown.objective.min())),
        low=lows[0].value,
        high=highs[0].value,
        low_open=not lows[0].reached,
        high_open=not highs[0].reached,
        rise=rises[0],
        calibration=calibration,
        flat=tuple(
            Flat(share, below.value, above.value)
            for share, below, above in zip(FLAT, lows[1:], highs[1:], strict=True)
        ),
        converged=float(shown.converged.mean()),
    )


def _ends(of: Setup, place: int, low: float, high: float) -> tuple[float, float]:
    """A range a little wider than an interval, within the bounds of the coefficient."""
    least, most = bounds(of, place)
    if low > 0 and high > 4 * low:
        ratio = (high / low) ** BEYOND
        return max(low / ratio, least), min(high * ratio, most)
    margin = BEYOND * (high - low)
    return max(low - margin, least), min(high + margin, most)


def threshold(
    of: Setup, best: Vectors, scale: float | None, spread: Covariance, place: int, level: float
) -> tuple[float, str]:
    """By how much the objective may rise for noise alone, and in words why by so much.

    A rise is half of a squared distance in standard errors. For likelihoods of independent rows that is
    chi-square. Other objectives are no likelihoods, and clusters are not independent: there the unit is
    the variance of the coefficient by the sandwich over that by the curvature alone, and Student's t
    squared, which is F, stands for its being estimated.
    """
    at = linearised(of, best, scale)
    kind, rows = of.objective.kind, len(at.z)
    if of.points.cluster is not None or not (of.objective.fits_scale or kind == "binomial"):
        squared = float(special.stdtrit(max(spread.degrees, 1), (1 + level) / 2)) ** 2
        words = f"F, in units of the variance by the {spread.kind}"
        return squared / 2 * _inflation(spread, at, place), words
    if kind == "binomial":
        return float(special.chdtri(1, 1 - level)) / 2, "chi-square of the binomial likelihood"
    squared = float(special.stdtrit(max(at.spare, 1), (1 + level) / 2)) ** 2
    if kind == "normal" and (of.points.censored is None or not of.points.censored.any()):
        return rows / 2 * float(np.log1p(squared / at.spare)), "F of the normal likelihood"
    return rows / at.spare * squared / 2, "chi-square of the likelihood, widened for few rows"


def _inflation(spread: Covariance, at: Linearised, place: int) -> float:
    """The variance of a coefficient over that which the curvature alone would give."""
    with np.errstate(all="ignore"):
        turn = np.linalg.pinv(spread.inside) @ spread.across[:, place]
    plain = float(turn @ np.linalg.pinv(at.bread, hermitian=True) @ turn)
    return float(spread.matrix[place, place]) / plain if plain > 0 else at.spread


def _flat(fitted: Fit, share: float) -> float:
    """The rise of the objective that is a `share` of what it measures."""
    kind, rows = fitted.objective_used.kind, len(fitted.points)
    if kind == "laplace":
        return rows * float(np.log1p(share))
    if fitted.objective_used.fits_scale:
        return rows / 2 * float(np.log1p(share))
    return share * abs(fitted.objective)
