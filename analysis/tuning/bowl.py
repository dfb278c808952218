"""A quadratic in the logs of one or two settings: its vertex, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Bowl:
    """A fitted quadratic; `unit` is the covariance of its coefficients when a weight is 1/variance.

    The coefficients belong to 1, u_i and u_i u_j / 2 with u = (x - centre) / scale, x a natural log.
    """

    centre: Float[np.ndarray, " axis"]
    scale: Float[np.ndarray, " axis"]
    coefficients: Float[np.ndarray, " term"]
    unit: Float[np.ndarray, "term term"]
    misfit: float  # the weighted sum of squared residuals
    spare: int  # points beyond the number of coefficients


def terms(axes: int) -> int:
    """How many coefficients a quadratic in so many settings has."""
    return 1 + axes + axes * (axes + 1) // 2


def fit_bowl(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
) -> Bowl | None:
    """The weighted least-squares quadratic, or None when the points do not determine one."""
    if len(x) < terms(x.shape[1]):
        return None
    centre, scale = _frame(x)
    root = np.sqrt(weight)
    design = _basis((x - centre) / scale) * root[:, None]
    q, r = np.linalg.qr(design)
    diagonal = np.abs(np.diag(r))
    if diagonal.min() < 1e-9 * diagonal.max():
        return None
    coefficients = np.linalg.solve(r, q.T @ (root * y))
    inverse = np.linalg.inv(r)
    residual = root * y - design @ coefficients
    return Bowl(
        centre,
        scale,
        coefficients,
        inverse @ inverse.T,
        float(residual @ residual),
        len(x) - terms(x.shape[1]),
    )


def value(bowl: Bowl, x: Float[np.ndarray, "point axis"]) -> Float[np.ndarray, " point"]:
    """The quadratic at some points."""
    return _basis((x - bowl.centre) / bowl.scale) @ bowl.coefficients


def curvature(bowl: Bowl) -> Float[np.ndarray, "axis axis"]:
    """The second derivatives by the natural logs of the settings."""
    return _hessians(bowl.coefficients[None])[0] / np.outer(bowl.scale, bowl.scale)


def convex(bowl: Bowl) -> bool:
    """Whether the quadratic has a minimum."""
    return bool(_minima(_hessians(bowl.coefficients[None]))[0])


def certainty(bowl: Bowl, variance: float) -> float:
    """The least principal curvature divided by its standard error; infinite without noise."""
    values, axes = np.linalg.eigh(_hessians(bowl.coefficients[None])[0])
    error = _bend_error(bowl, axes[:, 0], variance)
    return float(values[0] / error) if error > 0 else float(np.copysign(np.inf, values[0]))


def rise(
    bowl: Bowl,
    away: Float[np.ndarray, " axis"],
    covariance: Float[np.ndarray, "axis axis"],
    variance: float,
    quantile: float,
) -> tuple[float, float, float]:
    """How much the quadratic rises `away` from its vertex, with the interval of `quantile` errors.

    `covariance` is that of `away` (in natural logs), `variance` the noise of the quadratic at
    weight 1. With d^2 = away' H away the rise is d^2 / 2, and d is nearly normal where its square
    is not: an interval that reaches 0 says that nothing is lost.
    """
    hessian = curvature(bowl)
    distance = float(np.sqrt(max(0.0, away @ hessian @ away)))
    root = np.linalg.cholesky(hessian)
    if distance > 0:
        along = hessian @ away / distance
        error = float(along @ covariance @ along)
        bend = _bend_error(bowl, away / bowl.scale, variance)
        error += (bend / (2 * distance)) ** 2
    else:
        error = float(np.linalg.eigvalsh(root.T @ covariance @ root)[-1])
    half = quantile * float(np.sqrt(error))
    return distance**2 / 2, max(0.0, distance - half) ** 2 / 2, (distance + half) ** 2 / 2


def _bend_error(bowl: Bowl, direction: Float[np.ndarray, " axis"], variance: float) -> float:
    """The standard error of direction' H direction, in scaled units."""
    weights = np.zeros(len(bowl.coefficients))
    for place, (row, column) in enumerate(_pairs(len(direction))):
        both = 1.0 if row == column else 2.0
        weights[1 + len(direction) + place] = both * direction[row] * direction[column]
    return float(np.sqrt(variance * weights @ bowl.unit @ weights))


def vertex(bowl: Bowl) -> Float[np.ndarray, " axis"]:
    """The natural logs of the settings where the slope is zero."""
    return bowl.centre + bowl.scale * _stationary(bowl.coefficients[None])[0]


def vertex_covariance(bowl: Bowl, variance: float) -> Float[np.ndarray, "axis axis"]:
    """The covariance of the vertex by the delta method; `variance` is the noise at weight 1.

    With vertex v = -H^-1 g, a change of g moves it by -H^-1 dg and one of H by -H^-1 dH v.
    """
    size = len(bowl.centre)
    inverse = np.linalg.inv(_hessians(bowl.coefficients[None])[0])
    at = _stationary(bowl.coefficients[None])[0]
    slopes = np.zeros((size, len(bowl.coefficients)))
    slopes[:, 1 : 1 + size] = -inverse
    for place, (row, column) in enumerate(_pairs(size)):
        change = np.zeros(size)
        change[row] += at[column]
        if row != column:
            change[column] += at[row]
        slopes[:, 1 + size + place] = -inverse @ change
    moved = bowl.scale[:, None] * slopes
    return variance * moved @ bowl.unit @ moved.T


def lowest(bowl: Bowl) -> float:
    """The quadratic at its vertex."""
    return float(value(bowl, vertex(bowl)[None])[0])


def value_error(bowl: Bowl, x: Float[np.ndarray, " axis"], variance: float) -> float:
    """The standard error of the quadratic at one point."""
    row = _basis(((x - bowl.centre) / bowl.scale)[None])[0]
    return float(np.sqrt(variance * row @ bowl.unit @ row))


def vertices(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weights: Float[np.ndarray, "problem point"],
) -> tuple[Float[np.ndarray, "problem axis"], Bool[np.ndarray, " problem"]]:
    """The vertex for many weights at once, and which of them are minima that are determined."""
    centre, scale = _frame(x)
    basis = _basis((x - centre) / scale)
    size = basis.shape[1]
    normal = np.einsum("pk,ki,kj->pij", weights, basis, basis)
    right = np.einsum("pk,ki,k->pi", weights, basis, y)
    determined = np.linalg.cond(normal) < 1e12
    normal[~determined] = np.eye(size)
    coefficients = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
    good = determined & _minima(_hessians(coefficients))
    found = np.full((len(weights), x.shape[1]), np.nan)
    found[good] = centre + scale * _stationary(coefficients[good])
    return found, good


def _frame(
    x: Float[np.ndarray, "point axis"],
) -> tuple[Float[np.ndarray, " axis"], Float[np.ndarray, " axis"]]:
    """The middle and half the range of each axis, so that the normal equations are well scaled."""
    low, high = x.min(axis=0), x.max(axis=0)
    half = (high - low) / 2
    return (low + high) / 2, np.where(half > 0, half, 1.0)


def _pairs(size: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(size) for column in range(row, size)]


def _basis(u: Float[np.ndarray, "point axis"]) -> Float[np.ndarray, "point term"]:
    squares = [
        u[:, row] * u[:, column] * (0.5 if row == column else 1.0)
        for row, column in _pairs(u.shape[1])
    ]
    return np.column_stack([np.ones(len(u)), u, *squares])


def _hessians(coefficients: Float[np.ndarray, "problem term"]) -> Float[np.ndarray, "problem a a"]:
    size = 1 if coefficients.shape[1] == terms(1) else 2
    result = np.empty((len(coefficients), size, size))
    for place, (row, column) in enumerate(_pairs(size)):
        result[:, row, column] = result[:, column, row] = coefficients[:, 1 + size + place]
    return result


def _minima(hessians: Float[np.ndarray, "problem a a"]) -> Bool[np.ndarray, " problem"]:
    return np.linalg.eigvalsh(hessians)[:, 0] > 0


def _stationary(
    coefficients: Float[np.ndarray, "problem term"],
) -> Float[np.ndarray, "problem axis"]:
    hessians = _hessians(coefficients)
    slope = coefficients[:, 1 : 1 + hessians.shape[1]]
    return -np.linalg.solve(hessians, slope[:, :, None])[:, :, 0]
