"""How an optimum moves with scale: a power law through points that each have an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize, special

from trainers.schema import InputError

LEVEL = 0.95


@dataclass(frozen=True)
class Slope:
    """An exponent, or the intercept, of a trend; the interval is a 95 % Student t interval.

    `noise_error` is the standard error that the errors of the points alone would give. `low` and
    `high` are None when no point is spare.
    """

    name: str
    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    noise_error: float


@dataclass(frozen=True)
class Trend:
    """ln target = intercept + sum of exponent x ln input, all natural logs.

    `scatter` is how much the points vary beyond their own errors, as a standard deviation in
    natural-log units; `spare` is the number of points less that of coefficients.
    """

    target: str
    inputs: tuple[str, ...]
    intercept: Slope
    slopes: tuple[Slope, ...]
    scatter: float
    points: int
    spare: int
    covariance: Float[np.ndarray, "term term"]

    def slope(self, name: str) -> Slope:
        """The exponent of one input."""
        return self.slopes[self.inputs.index(name)]


@dataclass(frozen=True)
class Expected:
    """What a trend says at one place, with the 95 % interval of the trend itself."""

    value: float
    low: float | None
    high: float | None


def trend(
    target: str,
    inputs: Mapping[str, Float[np.ndarray, " point"]],
    logs: Float[np.ndarray, " point"],
    covariance: Float[np.ndarray, "point point"],
) -> Trend:
    """Regress the natural logs of an optimum on those of positive inputs.

    `covariance` is that of the errors of `logs`. What varies beyond it is estimated and added to
    every variance, so that a few very sure points cannot decide alone; the interval uses the
    scatter that is left and Student's t.
    Source: Paule and Mandel 1982 for the scatter; Knapp and Hartung 2003 for the interval.

    Without inputs it is their mean.

    Raises:
        InputError: there are too few points, or the inputs do not vary separately.
    """
    names = tuple(inputs)
    size = len(names) + 1
    x = np.column_stack([np.ones(len(logs)), *(np.log(inputs[name]) for name in names)])
    if len(logs) < size:
        raise InputError(
            f"{target}: expected at least {size} optima for a power law of {', '.join(names)}, "
            f"got {len(logs)}"
        )
    centre = x[:, 1:].mean(axis=0)
    moved = x.copy()
    moved[:, 1:] -= centre
    spread = np.linalg.svd(moved / np.sqrt((moved**2).sum(axis=0) + 1e-300), compute_uv=False)
    if spread[-1] < 1e-6:
        raise InputError(f"{target}: expected {', '.join(names)} to vary, and not together")
    # Errors below a part in 10^10 are none, but a covariance must be invertible.
    floor = covariance + np.eye(len(logs)) * 1e-20
    spare = len(logs) - size
    scatter = _scatter(moved, logs, floor, spare)
    noise = np.linalg.inv(moved.T @ np.linalg.solve(floor, moved))
    weight = np.linalg.inv(floor + scatter * np.eye(len(logs)))
    unit = np.linalg.inv(moved.T @ weight @ moved)
    centred = unit @ (moved.T @ weight @ logs)
    residual = logs - moved @ centred
    # Move the intercept back from the centre of the inputs to their unit.
    back = np.eye(size)
    back[0, 1:] = -centre
    values = back @ centred
    noise_errors = np.sqrt(np.diag(back @ noise @ back.T))
    factor = float(residual @ weight @ residual) / spare if spare else np.nan
    spread_out = factor * back @ unit @ back.T
    errors = np.sqrt(np.diag(spread_out))
    quantile = _quantile(spare)
    found = tuple(
        Slope(
            name,
            float(one),
            float(error) if spare else None,
            float(one - quantile * error) if spare else None,
            float(one + quantile * error) if spare else None,
            float(alone),
        )
        for name, one, error, alone in zip(
            ("intercept", *names), values, errors, noise_errors, strict=True
        )
    )
    return Trend(
        target,
        names,
        found[0],
        found[1:],
        float(np.sqrt(scatter)),
        len(logs),
        spare,
        spread_out if spare else back @ noise @ back.T,
    )


def drawn_trend(
    target: str,
    inputs: Mapping[str, Float[np.ndarray, " point"]],
    logs: Float[np.ndarray, " point"],
    draws: Float[np.ndarray, "draw point"],
) -> Trend:
    """The line through an optimum that a fitted law gives, with the law's own resamples.

    The optimum lies on or near a line whatever the noise, so only resamples tell its error.

    Raises:
        InputError: the inputs do not vary separately.
    """
    names = tuple(inputs)
    x = np.column_stack([np.ones(len(logs)), *(np.log(one) for one in inputs.values())])
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise InputError(f"{target}: expected {', '.join(names)} to vary, and not together")
    line = np.linalg.pinv(x)
    best, values = line @ logs, draws @ line.T
    known = len(values) > 1
    together = np.cov(values.T) if known else np.zeros((x.shape[1], x.shape[1]))
    errors = np.sqrt(np.diag(together))
    low, high = (
        np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
        if known
        else (best, best)
    )
    found = tuple(
        Slope(
            name,
            float(best[place]),
            float(errors[place]) if known else None,
            float(low[place]) if known else None,
            float(high[place]) if known else None,
            float(errors[place]),
        )
        for place, name in enumerate(("intercept", *names))
    )
    spare = len(values) if known else 0
    return Trend(target, names, found[0], found[1:], 0.0, len(logs), spare, together)


def expected(found: Trend, at: Mapping[str, float]) -> Expected:
    """The optimum that the trend expects at some values of its inputs, in natural units."""
    row = np.array([1.0, *(np.log(at[name]) for name in found.inputs)])
    log = float(row @ [found.intercept.value, *(one.value for one in found.slopes)])
    if not found.spare:
        return Expected(float(np.exp(log)), None, None)
    half = _quantile(found.spare) * float(np.sqrt(max(0.0, row @ found.covariance @ row)))
    return Expected(float(np.exp(log)), float(np.exp(log - half)), float(np.exp(log + half)))


def trend_document(found: Trend) -> dict[str, Any]:
    """A trend as plain values."""
    return {
        "target": found.target,
        "points": found.points,
        "scatter": found.scatter,
        "coefficients": {
            one.name: {
                "value": one.value,
                "standard_error": one.standard_error,
                "low": one.low,
                "high": one.high,
                "noise_error": one.noise_error,
            }
            for one in (found.intercept, *found.slopes)
        },
    }


def _quantile(spare: int) -> float:
    return float(special.stdtrit(spare, (1 + LEVEL) / 2)) if spare else 0.0


def _scatter(
    x: Float[np.ndarray, "point term"],
    y: Float[np.ndarray, " point"],
    covariance: Float[np.ndarray, "point point"],
    spare: int,
) -> float:
    """The variance between points that makes the weighted misfit equal to its expectation."""
    if not spare:
        return 0.0

    def misfit(extra: float) -> float:
        weight = np.linalg.inv(covariance + extra * np.eye(len(y)))
        best = np.linalg.solve(x.T @ weight @ x, x.T @ weight @ y)
        return float((y - x @ best) @ weight @ (y - x @ best)) - spare

    plain = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    # Ordinary least squares leaves no less than any weighting does, so this bound is enough.
    high = float(plain @ plain) / spare
    if high <= 0 or misfit(0.0) <= 0:
        return 0.0
    found = optimize.root_scalar(misfit, bracket=(0.0, high * (1 + 1e-9)), xtol=1e-12 * high)
    return float(found.root)
