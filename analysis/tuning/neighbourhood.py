"""Which settings round the best one a quadratic may be fitted to: as many as the noise allows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from analysis.tuning.bowl import Bowl, convex, fit_bowl, terms, vertex

Degree = Literal[2, 3]

BY_CHANCE = 0.05  # probability of the misfit under the noise, below which a set is too wide
ROUNDS = 8


@dataclass(frozen=True)
class Noise:
    """The variance at weight 1, its degrees of freedom (infinite when known), and where it is from."""

    variance: float
    spare: float
    source: str

    @property
    def quantile(self) -> float:
        """Standard errors either side that make a 95 % interval; infinite when nothing is known."""
        if math.isinf(self.spare):
            return float(special.ndtri(0.975))
        return float(special.stdtrit(self.spare, 0.975)) if self.spare > 0 else math.inf


@dataclass(frozen=True)
class Local:
    """The points, their quadratic, and the misfit of the polynomial that they were tested by.

    `misfit` is a weighted sum of squares with `spare` degrees of freedom.
    """

    used: Bool[np.ndarray, " point"]
    curve: Bowl
    misfit: float
    spare: int


def neighbourhood(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
    noise: Noise,
    degree: Degree,
) -> Local | None:
    """The largest set of points round the minimum that the noise cannot tell from a polynomial.

    Sets grow from the points nearest to the centre, in steps of the grid, until an F test against
    the noise rejects a polynomial of that degree (3 for one setting only): there a plateau or a
    cliff begins. The centre is the lowest point at first, then the vertex of the quadratic. None
    when no set opens upwards.
    """
    steps = np.array([_step(column) for column in x.T])
    # Rounding is not misfit.
    noise = Noise(noise.variance + rounding(y, weight), noise.spare, noise.source)
    centre = x[int(y.argmin())]
    best: Local | None = None
    seen: set[bytes] = set()
    for _ in range(ROUNDS):
        found = _grown(x, y, weight, noise, degree, centre, steps)
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
) -> tuple[float, int] | None:
    """The misfit, and its degrees of freedom, of the fewest points round the lowest that have one.

    For one setting five points and a cubic, as a skewed loss is not noise; four when there are no
    more.
    """
    degree = 3 if x.shape[1] == 1 else 2
    steps = np.array([_step(column) for column in x.T])
    last: tuple[float, int] | None = None
    for used in _nested(x, x[int(y.argmin())], steps):
        found = _fitted(x[used], y[used], weight[used], used, degree)
        if found is not None and found.spare > 0:
            last = found.misfit, found.spare
            if degree == 2 or used.sum() > 4:
                return last
    return last


def beyond(misfit: float, own: int, noise: Noise) -> bool:
    """Whether a misfit is larger than noise alone makes it once in twenty times (an F test)."""
    if noise.spare <= 0 or math.isinf(noise.spare):
        return misfit > noise.variance * float(special.chdtri(own, BY_CHANCE))
    return misfit > noise.variance * own * float(special.fdtri(own, noise.spare, 1 - BY_CHANCE))


def rounding(y: Float[np.ndarray, " point"], weight: Float[np.ndarray, " point"]) -> float:
    """A variance at weight 1 that rounding alone could make."""
    return float(weight.max()) * (1e-12 * float(np.abs(y).max())) ** 2


def _grown(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
    noise: Noise,
    degree: Degree,
    centre: Float[np.ndarray, " axis"],
    steps: Float[np.ndarray, " axis"],
) -> Local | None:
    best: Local | None = None
    for used in _nested(x, centre, steps):
        found = _fitted(x[used], y[used], weight[used], used, degree)
        if found is None:
            continue
        if found.spare and beyond(found.misfit, found.spare, noise):
            # Four points cannot test a cubic, so a quadratic that fails there says little.
            if degree == 3 and used.sum() == 4:
                continue
            break
        if convex(found.curve):
            best = found
    return best


def _fitted(
    x: Float[np.ndarray, "point axis"],
    y: Float[np.ndarray, " point"],
    weight: Float[np.ndarray, " point"],
    used: Bool[np.ndarray, " every"],
    degree: Degree,
) -> Local | None:
    curve = fit_bowl(x, y, weight)
    if curve is None:
        return None
    if degree == 2 or len(x) < 5:
        return Local(used, curve, curve.misfit, curve.spare)
    half = (x.max() - x.min()) / 2
    u, root = (x[:, 0] - x.min()) / half - 1, np.sqrt(weight)
    q, _ = np.linalg.qr(np.vander(u, 4) * root[:, None])
    left = root * y - q @ (q.T @ (root * y))
    return Local(used, curve, float(left @ left), len(x) - 4)


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
