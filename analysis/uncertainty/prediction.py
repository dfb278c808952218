"""Prediction intervals: of the law itself, and of runs that are still to be made.

The law's interval covers what is not known of its coefficients. A new run also differs from the law as
the runs that were fitted do. Source: Davison and Hinkley 1997, Bootstrap Methods and their Application
(prediction from resampled coefficients and resampled errors).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import predict_many
from analysis.fit import Fit, band, predict_fit
from analysis.law import Values
from analysis.points import level_of
from analysis.uncertainty.bootstrap import row_unit
from analysis.uncertainty.intervals import Reading, ends
from analysis.uncertainty.linearised import linearised
from analysis.uncertainty.ranks import by_chance, middle_slope
from trainers.schema import InputError

PAIRS = 4_000  # at least so many pairs of coefficients and errors are drawn
UNEVEN = 0.01  # probability by chance of an order in the size of residuals that is taken to be real
FEWEST = 20  # rows from which such an order is looked for
REPEATED = 0.5  # share of the rows that must be in cells of two or more, to tell noise from misfit


@dataclass(frozen=True)
class Prediction:
    """An interval at each of some inputs; `what` it is of, and where its `noise` is from, in words."""

    value: Float[np.ndarray, " run"]
    low: Float[np.ndarray, " run"]
    high: Float[np.ndarray, " run"]
    level: float
    what: str
    noise: str


@dataclass(frozen=True)
class Errors:
    """The errors of the rows that were fitted: measured less predicted, in the unit of the objective.

    They are divided by what is known of the size of each row's noise. `cells` says which rows have the
    same inputs, where that tells noise from misfit. `slope` is how fast their size grows with the logarithm
    of the prediction, around `middle` and within `low` to `high` of it.
    """

    errors: Float[np.ndarray, " row"]
    cells: tuple[Float[np.ndarray, " _"], ...]
    words: str
    slope: float = 0.0
    middle: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def size(self, predicted: Float[np.ndarray, "*more run"]) -> Float[np.ndarray, "*more run"]:
        """The size of the noise at a prediction, over the usual."""
        if not self.slope:
            return np.ones_like(predicted)
        logs = np.clip(np.log(predicted), self.low, self.high)
        return np.exp(self.slope * (logs - self.middle))


def predict_interval(fitted: Fit, values: Values, level: float = 0.9) -> Prediction:
    """The interval of the law itself at some inputs.

    Raises:
        InputError: the fit has no resamples.
    """
    _check(fitted, level)
    spread = band(fitted, values, level)
    if spread is None:
        raise ValueError("expected resamples")
    return Prediction(predict_fit(fitted, values), *spread, level, "the law", "none")


def predict_run(
    fitted: Fit,
    values: Values,
    level: float = 0.9,
    *,
    replicates: int = 1,
    noise: Float[np.ndarray, " run"] | None = None,
) -> Prediction:
    """The interval of the mean of `replicates` new runs at each of some inputs.

    Where the fit knows the noise of its rows, `noise` is that of a new run in the unit of the target (by
    itself that of the usual row). A mean of runs is less noisy, but no less off where the law misfits: the
    two are told apart by cells of several runs; where there are none, all errors are taken as noise.

    Raises:
        InputError: the fit has no resamples, or is of shares of counts.
    """
    _check(fitted, level)
    if fitted.objective_used.kind == "binomial":
        raise InputError("prediction: expected a fit of measurements, got one of shares of counts")
    if replicates < 1:
        raise InputError(f"replicates: expected at least 1, got {replicates}")
    known = fitted.points.noise
    if noise is not None and known is None:
        raise InputError("noise: expected a fit whose rows have a column of noise")
    of = errors_of(fitted)
    times = -(-PAIRS // len(fitted.draws))
    generator = np.random.RandomState(fitted.seed)
    centre = predict_fit(fitted, values)
    predicted = np.tile(predict_many(fitted.law, fitted.draws, values), (times, 1))
    drawn = _mean_errors(of, generator, predicted.shape, replicates)
    drawn = drawn * of.size(centre)
    logarithmic = fitted.objective_used.residual == "log"
    if noise is not None and known is not None:
        usual = np.median(known / fitted.points.measured if logarithmic else known)
        drawn = drawn * (np.asarray(noise) / (centre if logarithmic else 1.0) / usual)
    new = predicted * np.exp(drawn) if logarithmic else predicted + drawn
    reading = Reading(False, fitted.reading.degrees, fitted.reading.stretch)
    low, high = ends(new, centre, level, reading)
    what = "a new run" if replicates == 1 else f"the mean of {replicates} new runs"
    return Prediction(centre, low, high, level, what, of.words)


def errors_of(fitted: Fit) -> Errors:
    """The errors from which those of new runs are drawn, freed of what each row explains of itself."""
    of, on = fitted.setup, fitted.points
    logarithmic = fitted.objective_used.residual == "log"
    if fitted.pool != "none":
        return _of_replicates(fitted, logarithmic)
    at = linearised(of, fitted.vector, fitted.scale)
    relative = 1.0 if of.surface.relative is None else of.surface.relative
    errors = -at.freed * row_unit(of, fitted.scale) / relative
    words = "the residuals of the rows"
    if on.noise is not None:
        return Errors(errors, (), f"{words}, in units of the known noise of each")
    levels = np.stack([level_of(one) for one in on.values.values()])
    _, cell, sizes = np.unique(levels, axis=1, return_inverse=True, return_counts=True)
    cell = cell.ravel()
    made = _uneven(errors, predict_fit(fitted, on.values), words)
    if sizes[sizes > 1].sum() >= REPEATED * len(errors):
        cells = tuple(made.errors[cell == number] for number in np.flatnonzero(sizes > 1))
        return Errors(made.errors, cells, f"{made.words}, by cells", made.slope, made.middle,
                      made.low, made.high)  # fmt: skip
    return made


def _of_replicates(fitted: Fit, logarithmic: bool) -> Errors:
    """Every replicate's distance from the law: that of its cell, and its own within the cell."""
    predicted = predict_fit(fitted, fitted.points.values)
    cells = tuple(
        np.log(each) - np.log(centre) if logarithmic else each - centre
        for each, centre in zip(fitted.points.replicates, predicted, strict=True)
    )
    errors = np.concatenate(cells)
    sizes = np.repeat(predicted, [len(one) for one in cells])
    made = _uneven(errors, sizes, "the replicates of every cell")
    starts = np.cumsum([0, *(len(one) for one in cells)])
    split = tuple(made.errors[a:b] for a, b in itertools.pairwise(starts))
    return Errors(made.errors, split, made.words, made.slope, made.middle, made.low, made.high)


def _uneven(
    errors: Float[np.ndarray, " row"], predicted: Float[np.ndarray, " row"], words: str
) -> Errors:
    """The errors, divided by their size where that rises or falls with the prediction."""
    positive = bool((predicted > 0).all()) and float(np.ptp(predicted)) > 0
    if len(errors) < FEWEST or not positive or not np.abs(errors).any():
        return Errors(errors, (), words)
    sizes, logs = np.abs(errors), np.log(predicted)
    if by_chance(sizes, logs) > UNEVEN:
        return Errors(errors, (), words)
    floor = 0.05 * float(np.median(sizes[sizes > 0]))
    slope = middle_slope(np.log(np.maximum(sizes, floor)), logs)
    middle = float(logs.mean())
    return Errors(
        errors / np.exp(slope * (logs - middle)),
        (),
        f"{words}, whose size changes with the prediction",
        slope,
        middle,
        float(logs.min()),
        float(logs.max()),
    )


def _mean_errors(
    of: Errors, generator: np.random.RandomState, shape: tuple[int, ...], replicates: int
) -> Float[np.ndarray, "pair run"]:
    """Errors of means of several runs: a cell is drawn, and then runs of that cell."""
    if not of.cells:
        places = generator.randint(0, len(of.errors), (replicates, *shape))
        return of.errors[places].mean(axis=0)
    sizes = np.array([len(one) for one in of.cells])
    centres = np.array([one.mean() for one in of.cells])
    noise = np.array([one.var(ddof=1) / len(one) if len(one) > 1 else 0.0 for one in of.cells])
    # What is left of the cells' distances from the law once noise is taken off.
    squared = float((centres**2).mean())
    centres = centres * np.sqrt(max(squared - float(noise.mean()), 0.0) / squared if squared else 0)
    # Deviations from a mean of n are small by sqrt((n - 1) / n).
    wider = np.sqrt(sizes / np.maximum(sizes - 1, 1))
    apart = np.concatenate(
        [(one - one.mean()) * more for one, more in zip(of.cells, wider, strict=True)]
    )
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    cell = generator.randint(0, len(sizes), shape)
    total = np.zeros(shape)
    for _ in range(replicates):
        total += apart[starts[cell] + generator.randint(0, sizes[cell])]
    return centres[cell] + total / replicates


def _check(fitted: Fit, level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level: expected a number between 0 and 1, got {level}")
    if not len(fitted.draws):
        raise InputError("prediction: expected a fit with resamples, got one without")
