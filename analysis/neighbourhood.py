"""Which settings round the best one a quadratic may be fitted to: as many as agree on its vertex."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.bowl import Bowl, certainty, convex, fit_bowl, terms, vertex, vertex_covariance

AGREE = 2.0  # standard errors either side within which the vertices of nested sets must overlap
SEEN = 2.0  # standard errors of its curvature by which a quadratic must open upwards to have a say
ROUNDS = 8


@dataclass(frozen=True)
class Local:
    """The quadratic, and the points that it was fitted to."""

    curve: Bowl
    used: Bool[np.ndarray, " point"]


def neighbourhood(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
    variance: float,
) -> Local | None:
    """The quadratic of the largest set of points round the minimum that is still consistent.

    Sets grow from the points nearest to the centre, in steps of the grid. A larger set has a
    smaller error but, where the loss is no quadratic (a plateau, a cliff), a shifted vertex; growth
    ends when the intervals of the vertices no longer overlap. The centre is the lowest point at
    first and then the vertex found. None when no set opens upwards.
    Source: the intersection of confidence intervals, Katkovnik 1999, A new method for varying
    adaptive bandwidth selection.
    """
    steps = np.array([_step(column) for column in x.T])
    centre = x[int(y.argmin())]
    best: Local | None = None
    seen: set[bytes] = set()
    for _ in range(ROUNDS):
        found = _grown(x, y, weight, variance, centre, steps)
        if found is None:
            return best
        best = found
        if found.used.tobytes() in seen:
            return best
        seen.add(found.used.tobytes())
        centre = np.clip(vertex(found.curve), x.min(axis=0), x.max(axis=0))
    return best


def smallest_tested(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
) -> Bowl | None:
    """The quadratic of the fewest points round the lowest one that leave at least one to test it."""
    steps = np.array([_step(column) for column in x.T])
    for used in _nested(x, x[int(y.argmin())], steps):
        found = fit_bowl(x[used], y[used], weight[used])
        if found is not None and found.spare > 0:
            return found
    return None


def _grown(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
    variance: float,
    centre: Float[np.ndarray, " axis"],
    steps: Float[np.ndarray, " axis"],
) -> Local | None:
    low, high = np.full(x.shape[1], -np.inf), np.full(x.shape[1], np.inf)
    best: Local | None = None
    sure = False
    for used in _nested(x, centre, steps):
        found = fit_bowl(x[used], y[used], weight[used])
        if found is None:
            continue
        if not convex(found):
            if sure:
                break
            continue
        if certainty(found, variance) >= SEEN:
            at = vertex(found)
            half = AGREE * np.sqrt(np.diag(vertex_covariance(found, variance)))
            # Rounding must not part two sets that agree exactly.
            half = half + 1e-9 * np.abs(at) + 1e-12
            low, high = np.maximum(low, at - half), np.minimum(high, at + half)
            if (low > high).any():
                break
            sure = True
        elif sure:
            break
        best = Local(found, used)
    return best


def _nested(
    x: Float[np.ndarray, "point axis"],
    centre: Float[np.ndarray, " axis"],
    steps: Float[np.ndarray, " axis"],
) -> Iterator[Bool[np.ndarray, " point"]]:
    away = np.sqrt((((x - centre) / steps) ** 2).sum(axis=1))
    for radius in np.unique(np.round(away, 6)):
        used = away <= radius + 1e-5
        if used.sum() >= terms(x.shape[1]):
            yield used


def _step(column: Float[np.ndarray, " point"]) -> float:
    """The usual distance of neighbouring levels."""
    gaps = np.diff(np.unique(np.round(column, 9)))
    return float(np.median(gaps)) if len(gaps) else 1.0
