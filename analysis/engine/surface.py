"""The objective of a fit as a function of the engine's variables, for many problems at once.

A problem is a start, a resample or a value of a profile: it has targets, weights and bounds of its
own, and shares the law and the inputs with all the others.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Compiled, Vectors, compiled
from analysis.engine.objective import (
    Objective,
    RowLoss,
    Rows,
    binomial_loss,
    checked,
    final,
    row_loss,
)
from analysis.law import Coefficient, Law, input_array
from analysis.points import Points
from trainers.schema import InputError

Variables = Float[np.ndarray, "problem variable"]
Square = Float[np.ndarray, "problem variable variable"]
ROUNDING = 1e-26  # squared residuals below this, relative to the targets, are rounding
THINNEST, WIDEST = -45.0, 12.0  # ln of the fitted scale over the spread of the targets


@dataclass(frozen=True)
class Surface:
    """Law, runs and objective of a fit; `runs` are the inputs as the compiled law takes them."""

    law: Law
    compiled: Compiled
    objective: Objective
    runs: Float[np.ndarray, "input run"]
    centre: Float[np.ndarray, "input 1"]
    target: Float[np.ndarray, " run"]
    share: Float[np.ndarray, " run"] | None  # of counts, under a binomial objective
    relative: Float[np.ndarray, " run"] | None  # noise of each row over the median row's
    censored: Bool[np.ndarray, " run"] | None
    counts: Float[np.ndarray, " run"] | None
    low: Float[np.ndarray, " variable"]
    high: Float[np.ndarray, " variable"]
    rounding: float

    def under(self, objective: Objective) -> "Surface":
        """The same fit under another objective of the same kind of residual."""
        return replace(self, objective=objective)

    def only(self, places: np.ndarray) -> "Surface":
        """The same fit on some of the runs."""
        share, relative, censored, counts = (
            None if one is None else one[places]
            for one in (self.share, self.relative, self.censored, self.counts)
        )
        return replace(
            self,
            runs=self.runs[:, places],
            target=self.target[places],
            share=share,
            relative=relative,
            censored=censored,
            counts=counts,
        )


@dataclass(frozen=True)
class Problems:
    """Targets, weights and bounds of every problem; a single row is shared by all of them."""

    target: Rows
    weight: Rows
    low: Float[np.ndarray, "#problem variable"]
    high: Float[np.ndarray, "#problem variable"]

    def of(self, chosen: np.ndarray | slice) -> "Problems":
        """Some of the problems."""
        parts = (self.target, self.weight, self.low, self.high)
        return Problems(*(one if len(one) == 1 else one[chosen] for one in parts))

    def __len__(self) -> int:
        return max(map(len, (self.target, self.weight, self.low, self.high)))


@dataclass(frozen=True)
class Curvature:
    """Value, gradient, Hessian and the positive definite majorant of reweighted least squares."""

    value: Float[np.ndarray, " problem"]
    gradient: Float[np.ndarray, "problem variable"]
    hessian: Square
    majorant: Square


def surface(law: Law, on: Points, objective: Objective) -> Surface:
    """Set up a fit.

    Raises:
        InputError: the objective cannot be used with these points.
    """
    checked(objective)
    if on.censored is not None and on.censored.any() and objective.kind != "normal":
        raise InputError(f"objective: expected normal with censored rows, got {objective.kind}")
    if (objective.kind == "binomial") != (on.counts is not None):
        raise InputError("counts: expected a column of counts with binomial, and only with it")
    inputs = input_array(law, on.values)
    positive = np.array([one.positive for one in law.inputs])
    with np.errstate(all="ignore"):
        logs = np.where(positive[:, None], np.log(inputs), inputs)
    centre = logs.mean(axis=1, keepdims=True)
    made = compiled(law, objective.residual)
    target = _target(on, objective)
    low, high = (np.array(one) for one in zip(*map(_bounds, law.coefficients), strict=True))
    spread = _spread(target)
    if objective.fits_scale:
        low = np.append(low, np.log(spread) + THINNEST)
        high = np.append(high, np.log(spread) + WIDEST)
    return Surface(
        law=law,
        compiled=made,
        objective=final(objective),
        runs=np.where(positive[:, None], logs - centre, logs),
        centre=centre,
        target=target,
        share=on.measured if objective.kind == "binomial" else None,
        relative=_relative(on, objective),
        censored=on.censored,
        counts=on.counts,
        low=low,
        high=high,
        rounding=ROUNDING * max(float((target**2).mean()), 1e-12 if made.logarithmic else 1e-300),
    )


def one_problem(on: Surface) -> Problems:
    """The fit itself: every row once."""
    return Problems(on.target[None], np.ones((1, len(on.target))), on.low[None], on.high[None])


def natural(on: Surface, vectors: Variables) -> Vectors:
    """Coefficients in the units of the law, from the engine's variables."""
    return on.compiled.natural(vectors[:, : len(on.law.coefficients)], on.centre)


def residuals(on: Surface, target: Rows, vectors: Variables) -> Float[np.ndarray, "problem run"]:
    """Predicted less target, of logarithms or plain; infinite where the law has no prediction."""
    size = len(on.law.coefficients)
    model = on.compiled.model(vectors[:, :size], on.runs, on.centre)
    with np.errstate(all="ignore"):
        return (np.log(model) if on.compiled.logarithmic else model) - target


# Far from its optimum a law overflows, or divides by what underflowed: such points are infinitely bad.
@np.errstate(all="ignore")
def value(on: Surface, problems: Problems, vectors: Variables) -> Float[np.ndarray, " problem"]:
    """The objective of every problem; infinite where the law has no prediction for some run."""
    residual = residuals(on, problems.target, vectors)
    allowed = np.asarray(np.isfinite(residual).all(axis=1))
    residual = np.where(allowed[:, None], residual, 0.0)
    losses, spread = _losses(on, residual, problems, vectors)
    total = (problems.weight * (losses.value + _scale_cost(on, spread))).sum(axis=1)
    return np.where(allowed & np.isfinite(total), total, np.inf)


# Far from its optimum a law overflows, or divides by what underflowed: such points are infinitely bad.
@np.errstate(all="ignore")
def curvature(on: Surface, problems: Problems, vectors: Variables) -> Curvature:
    """The objective of every problem with its exact derivatives.

    Where the law has no prediction the value is infinite and the derivatives mean nothing.
    """
    size, count, rows = len(on.law.coefficients), len(vectors), on.runs.shape[1]
    made = on.compiled.derivatives
    model, *parts = made.run([vectors[:, [place]] for place in range(size)], on.runs, on.centre)
    model = np.broadcast_to(model, (count, rows))
    logarithmic = on.compiled.logarithmic
    allowed = np.asarray(np.isfinite(model).all(axis=1))
    if logarithmic:
        allowed &= model.min(axis=1) > 0
    if not allowed.all():
        model = np.where(allowed[:, None], model, 1.0)
    residual = (np.log(model) if logarithmic else model) - problems.target
    losses, spread = _losses(on, residual, problems, vectors)
    unit = _unit(on, spread)
    pull = problems.weight * losses.first / unit
    bent = problems.weight * losses.second / unit**2
    firm = problems.weight * losses.curve / unit**2

    jacobian = np.empty((count, size, rows))
    for place in range(size):
        jacobian[:, place] = parts[place]
    share = pull
    if logarithmic:
        jacobian /= model[:, None]
        share, bent = pull / model, bent - pull
    turned = jacobian.transpose(0, 2, 1)
    width = len(on.low)
    hessian, majorant = (np.zeros((count, width, width)) for _ in range(2))
    hessian[:, :size, :size] = (jacobian * bent[:, None]) @ turned
    majorant[:, :size, :size] = (jacobian * firm[:, None]) @ turned
    for (row, column), second in zip(made.pairs, parts[size:], strict=True):
        entry = (share * second).sum(axis=1)
        hessian[:, row, column] += entry
        if row != column:
            hessian[:, column, row] += entry
    gradient = np.zeros((count, width))
    gradient[:, :size] = (jacobian @ pull[:, :, None])[:, :, 0]
    if on.objective.fits_scale:
        _scale_derivatives(on, problems, residual / unit, losses, jacobian / unit[:, None],
                           gradient, hessian, majorant)  # fmt: skip
    total = (problems.weight * (losses.value + _scale_cost(on, spread))).sum(axis=1)
    # Far away a derivative may overflow where the model itself does not.
    allowed &= np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
    return Curvature(np.where(allowed, total, np.inf), gradient, hessian, majorant)


def held(
    problems: Problems, vectors: Variables, gradient: Variables
) -> Bool[np.ndarray, "problem variable"]:
    """Which variables stand on a bound that the objective pushes them against."""
    below = (vectors <= problems.low) & ((gradient > 0) | (problems.low == problems.high))
    return below | ((vectors >= problems.high) & (gradient < 0))


# Far from its optimum a law overflows, or divides by what underflowed: such points are infinitely bad.
@np.errstate(all="ignore")
def start_scale(
    on: Surface, problems: Problems, vectors: Vectors
) -> Float[np.ndarray, "problem variable"]:
    """The vectors with the logarithm of a first scale appended, where the objective fits one."""
    if not on.objective.fits_scale:
        return vectors
    residual = residuals(on, problems.target, vectors)
    if on.relative is not None:
        residual = residual / on.relative
    usual = np.where(np.isfinite(residual), np.abs(residual), 0.0).mean(axis=1, keepdims=True)
    floor = np.exp(on.low[-1]) + np.sqrt(on.rounding)
    return np.concatenate([vectors, np.log(np.maximum(usual, floor))], axis=1)


def _losses(
    on: Surface, residual: Rows, problems: Problems, vectors: Variables
) -> tuple[RowLoss, Float[np.ndarray, "problem 1"] | None]:
    """The loss of every row, and the logarithm of every problem's scale."""
    if on.share is not None and on.counts is not None:
        # The share is no target of a residual: what matters is the predicted log rate itself.
        return binomial_loss(residual + problems.target, on.share[None], on.counts), None
    spread = vectors[:, -1:] if on.objective.fits_scale else None
    return row_loss(on.objective, residual / _unit(on, spread), on.censored), spread


def _unit(on: Surface, spread: Float[np.ndarray, "problem 1"] | None) -> Rows:
    """What a residual is divided by: the relative noise of its row, and the fitted scale."""
    unit = np.ones((1, 1)) if on.relative is None else on.relative[None]
    return unit if spread is None else unit * np.exp(spread)


def _scale_cost(on: Surface, spread: Float[np.ndarray, "problem 1"] | None) -> Rows:
    """The logarithm of the scale, once for every row that is not censored."""
    if spread is None:
        return np.zeros((1, 1))
    counted = np.ones(on.runs.shape[1]) if on.censored is None else 1.0 - on.censored
    return spread * counted


def _scale_derivatives(
    on: Surface,
    problems: Problems,
    z: Rows,
    losses: RowLoss,
    jacobian: Float[np.ndarray, "problem coefficient run"],
    gradient: Float[np.ndarray, "problem variable"],
    hessian: Square,
    majorant: Square,
) -> None:
    """Fill in what belongs to the logarithm of the scale, by which z falls as itself."""
    weight, size = problems.weight, jacobian.shape[1]
    counted = _scale_cost(on, np.ones((1, 1)))
    gradient[:, size] = (weight * (counted - losses.first * z)).sum(axis=1)
    bent = losses.second * z + losses.first
    cross = -(jacobian @ (weight * bent)[:, :, None])[:, :, 0]
    hessian[:, :size, size] = hessian[:, size, :size] = cross
    hessian[:, size, size] = (weight * bent * z).sum(axis=1)
    majorant[:, size, size] = (weight * (losses.curve * z**2 + counted)).sum(axis=1)


def _bounds(one: Coefficient) -> tuple[float, float]:
    if not one.log:
        return one.low, one.high
    return float(np.log(one.low)), float(np.log(one.high))


def _target(on: Points, objective: Objective) -> Float[np.ndarray, " run"]:
    if objective.kind == "binomial":
        smoothed = (on.measured * _known(on.counts) + 0.5) / (_known(on.counts) + 1.0)
        return np.log(smoothed)
    return np.log(on.measured) if objective.residual == "log" else on.measured.astype(np.float64)


def _known(counts: Float[np.ndarray, " run"] | None) -> Float[np.ndarray, " run"]:
    if counts is None:
        raise ValueError("expected counts")
    return counts


def _relative(on: Points, objective: Objective) -> Float[np.ndarray, " run"] | None:
    if on.noise is None:
        return None
    noise = on.noise / on.measured if objective.residual == "log" else on.noise
    return noise / np.median(noise)


def _spread(target: Float[np.ndarray, " run"]) -> float:
    spread = float(target.std())
    return spread if spread > 0 else max(float(np.abs(target).mean()), 1e-12)
