"""The robust objective of a fit, with exact derivatives, for many problems at once.

objective = sum over runs of weight * huber(ln predicted - ln measured), where huber(r) is r^2 / 2
up to delta and delta * (|r| - delta / 2) beyond. Source: Hoffmann et al. 2022, arXiv:2203.15556,
section 3.3. The engine works in units of the data's centre: an amplitude is the size of its term at
the geometric mean of the inputs, as a share of the geometric mean of the losses.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.law import Law
from analysis.terms import LogBasis

Vectors = Float[np.ndarray, "problem coefficient"]
Rows = Float[np.ndarray, "#problem run"]


@dataclass(frozen=True)
class Surface:
    """The runs of a fit as the engine sees them; `low` and `high` are bounds in centred units."""

    law: Law
    logs: Float[np.ndarray, "input run"]
    centre: Float[np.ndarray, "input 1"]
    log_scale: float
    low: Float[np.ndarray, " coefficient"]
    high: Float[np.ndarray, " coefficient"]


@dataclass(frozen=True)
class Targets:
    """The centred log losses and the weights of every problem (a resample is one problem)."""

    log_loss: Rows
    weight: Rows

    def of(self, chosen: np.ndarray | slice) -> "Targets":
        """The targets of some problems; a single row is shared by all of them."""
        return Targets(
            self.log_loss if len(self.log_loss) == 1 else self.log_loss[chosen],
            self.weight if len(self.weight) == 1 else self.weight[chosen],
        )


@dataclass(frozen=True)
class Curvature:
    """Value, gradient, Hessian and the positive definite majorant of reweighted least squares."""

    value: Float[np.ndarray, " problem"]
    gradient: Vectors
    hessian: Float[np.ndarray, "problem coefficient coefficient"]
    majorant: Float[np.ndarray, "problem coefficient coefficient"]


def surface(
    law: Law, logs: Float[np.ndarray, "input run"], log_loss: Float[np.ndarray, " run"]
) -> Surface:
    """Centre the inputs and the bounds of a law on some runs."""
    log_scale = float(log_loss.mean())
    exponents = {one.name for one in law.exponents}
    unit = [1.0 if one.name in exponents else np.exp(-log_scale) for one in law.coefficients]
    return Surface(
        law=law,
        logs=logs,
        centre=logs.mean(axis=1, keepdims=True),
        log_scale=log_scale,
        low=np.array([one.low for one in law.coefficients]) * unit,
        high=np.array([one.high for one in law.coefficients]) * unit,
    )


def bases(on: Surface, vectors: Vectors) -> tuple[LogBasis, ...]:
    """The log bases of every term, each relative to its value at the centre of the inputs."""
    result = []
    for term in on.law.terms:
        rows = [on.law.input_names.index(name) for name in term.inputs] or slice(None)
        exponents = np.stack(
            [vectors[:, [on.law.place[name]]] for name in term.exponents] or [vectors]
        )
        here, there = (term.log_basis(x[rows], exponents) for x in (on.logs, on.centre))
        slopes = [a - b for a, b in zip(here.slopes, there.slopes, strict=True)]
        bends = [
            tuple(None if a is None or b is None else a - b for a, b in zip(*pair, strict=True))
            for pair in zip(here.bends, there.bends, strict=True)
        ]
        result.append(LogBasis(here.value - there.value, tuple(slopes), tuple(bends)))
    return tuple(result)


def natural(on: Surface, vectors: Vectors) -> Vectors:
    """Coefficients in the units of the law, from coefficients in centred units."""
    result = vectors.copy()
    for term in on.law.terms:
        rows = [on.law.input_names.index(name) for name in term.inputs] or slice(None)
        exponents = np.stack(
            [vectors[:, [on.law.place[name]]] for name in term.exponents] or [vectors]
        )
        at_centre = term.log_basis(on.centre[rows], exponents).value[:, 0]
        result[:, on.law.place[term.coefficient]] *= np.exp(on.log_scale - at_centre)
    return result


def predicted(on: Surface, vectors: Vectors) -> Float[np.ndarray, "problem run"]:
    """The law in centred units."""
    total = np.zeros((len(vectors), on.logs.shape[1]))
    for term, basis in zip(on.law.terms, bases(on, vectors), strict=True):
        total += vectors[:, [on.law.place[term.coefficient]]] * np.exp(basis.value)
    return total


def value(
    on: Surface, targets: Targets, vectors: Vectors, delta: float
) -> Float[np.ndarray, " problem"]:
    """The objective of every problem; infinite where the law predicts no positive loss."""
    model = predicted(on, vectors)
    allowed = model.min(axis=1) > 0
    residual = np.log(np.where(allowed[:, None], model, 1.0)) - targets.log_loss
    clipped = np.clip(residual, -delta, delta)
    return np.where(allowed, _huber(residual, clipped, targets.weight), np.inf)


def curvature(on: Surface, targets: Targets, vectors: Vectors, delta: float) -> Curvature:
    """The objective of every problem with its exact derivatives.

    Where the law predicts no positive loss the value is infinite and the derivatives mean nothing.
    """
    law, count = on.law, len(vectors)
    shapes = bases(on, vectors)
    basis = [np.exp(shape.value) for shape in shapes]
    amplitude = [vectors[:, [law.place[term.coefficient]]] for term in law.terms]
    model = np.zeros((count, on.logs.shape[1]))
    for size, base in zip(amplitude, basis, strict=True):
        model += size * base
    allowed = model.min(axis=1) > 0
    model[~allowed] = 1.0
    residual = np.log(model) - targets.log_loss
    clipped = np.clip(residual, -delta, delta)

    jacobian = np.zeros((count, len(law.coefficients), on.logs.shape[1]))
    hessian = np.zeros((count, len(law.coefficients), len(law.coefficients)))
    pull = targets.weight * clipped / model
    for term, size, base, shape in zip(law.terms, amplitude, basis, shapes, strict=True):
        at = law.place[term.coefficient]
        share, pulled = base / model, pull * base
        jacobian[:, at] += share
        for first, (name, slope) in enumerate(zip(term.exponents, shape.slopes, strict=True)):
            row = law.place[name]
            jacobian[:, row] += size * share * slope
            mixed = (pulled * slope).sum(axis=1)
            hessian[:, at, row] += mixed
            hessian[:, row, at] += mixed
            for second, other in enumerate(term.exponents):
                bend = shape.bends[first][second]
                bent = slope * shape.slopes[second] + (0.0 if bend is None else bend)
                hessian[:, row, law.place[other]] += size[:, 0] * (pulled * bent).sum(axis=1)

    inside = np.abs(residual) < delta
    turned = jacobian.transpose(0, 2, 1)
    hessian += (jacobian * (targets.weight * (inside - clipped))[:, None]) @ turned
    # |r| never falls below |clipped|, and where both are 0 the reweighted weight is 1.
    reweighted = targets.weight * np.where(inside, 1.0, delta / np.maximum(np.abs(residual), delta))
    return Curvature(
        value=np.where(allowed, _huber(residual, clipped, targets.weight), np.inf),
        gradient=(jacobian @ (targets.weight * clipped)[:, :, None])[:, :, 0],
        hessian=hessian,
        majorant=(jacobian * reweighted[:, None]) @ turned,
    )


def held(
    on: Surface, vectors: Vectors, gradient: Vectors
) -> Bool[np.ndarray, "problem coefficient"]:
    """Which coefficients stand on a bound that the objective pushes them against."""
    return ((vectors <= on.low) & (gradient > 0)) | ((vectors >= on.high) & (gradient < 0))


def _huber(
    residual: Float[np.ndarray, "problem run"],
    clipped: Float[np.ndarray, "problem run"],
    weight: Rows,
) -> Float[np.ndarray, " problem"]:
    # clipped * (residual - clipped / 2) is both branches of the Huber loss at once.
    return (weight * clipped * (residual - clipped / 2)).sum(axis=1)
