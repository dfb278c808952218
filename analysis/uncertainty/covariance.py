"""The covariance of fitted coefficients by the sandwich: curvature outside, the rows' pulls inside.

It holds without equal noise in all rows, and with `cluster` without independence within clusters.
Sources: Huber 1967, The behavior of maximum likelihood estimates under nonstandard conditions; White
1980, doi:10.2307/1912934; Liang and Zeger 1986, doi:10.1093/biomet/73.1.13 (clusters).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.engine.compiled import Vectors
from analysis.engine.refit import Setup, curvature_at
from analysis.engine.surface import natural
from analysis.uncertainty.linearised import Linearised, linearised, variables

DEAD = 1e-12  # a direction whose curvature is below this share of the largest is not determined
STEP = 1e-5  # of a standard error: the step by which derivatives of the natural units are taken


@dataclass(frozen=True)
class Covariance:
    """How coefficients vary together; those on a bound do not vary.

    `matrix` is in the units of the law, `inside` in the engine's variables, in which a normal
    distribution is nearer to the truth, and `across` tells how each of these (rows) varies with each
    coefficient in the units of the law (columns). `degrees` are those of Student's t for an interval,
    `kind` says in words what was assumed.
    """

    matrix: Float[np.ndarray, "coefficient coefficient"]
    inside: Float[np.ndarray, "coefficient coefficient"]
    across: Float[np.ndarray, "coefficient coefficient"]
    degrees: int
    kind: str

    @property
    def standard_errors(self) -> Float[np.ndarray, " coefficient"]:
        """The standard errors in the units of the law."""
        return np.sqrt(np.diag(self.matrix))


def covariance(of: Setup, vector: Vectors, scale: float | None = None) -> Covariance:
    """The sandwich covariance of a fit at its optimum.

    Each row's pull is divided by 1 - leverage, as by the jackknife: the fit bends towards every row. The
    pulls of a sharp objective are all of one size, and are multiplied by (rows / (rows - free))^(1/2).
    With clusters the whole is multiplied by clusters / (clusters - 1) (rows - 1) / (rows - free).
    Where rows are no more than coefficients nothing is known, and the errors are infinite.
    """
    at = linearised(of, vector, scale)
    groups = of.points.cluster
    if groups is not None:
        count = int(groups.max()) + 1
        degrees, kind = count - 1, f"sandwich over {count} clusters"
    else:
        count, degrees, kind = len(at.z), at.spare, "sandwich"
    size = len(of.law.coefficients)
    if at.spare < 1 or degrees < 1:
        unknown = np.full((size, size), np.inf)
        return Covariance(unknown, unknown, unknown, 0, kind)
    bread, scores = _bread(of, vector, scale, at), _scores(of, at, scale)
    if groups is None:
        wider = np.sqrt(len(at.z) / at.spare) if at.sharp else 1 / (1 - at.leverage)[:, None]
        scores = scores * wider
    else:
        summed = np.zeros((count, scores.shape[1]))
        np.add.at(summed, groups, scores)
        rows = len(at.z)
        scores = summed * np.sqrt(count / (count - 1) * (rows - 1) / at.spare)
    inverse = _inverse(bread)
    inside = (inverse @ (scores.T @ scores) @ inverse)[:size, :size]
    turn = _turn(of, variables(of, vector), np.sqrt(np.diag(inside)))
    return Covariance(turn @ inside @ turn.T, inside, inside @ turn.T, degrees, kind)


def normal_draws(
    of: Setup, vector: Vectors, of_them: Covariance, count: int, seed: int
) -> Float[np.ndarray, "draw coefficient"]:
    """Coefficients drawn from their normal approximation, within their bounds; units of the law."""
    size, on = len(of.law.coefficients), of.surface
    values, directions = np.linalg.eigh(of_them.inside)
    root = directions * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.RandomState(seed).standard_normal((count, size))
    inside = variables(of, vector) + normal @ root.T
    return natural(on, np.clip(inside, on.low[:size], on.high[:size]))


def normal_interval(
    of: Setup, vector: Vectors, of_them: Covariance, level: float = 0.95
) -> tuple[Float[np.ndarray, " coefficient"], Float[np.ndarray, " coefficient"]]:
    """The interval of every coefficient by Student's t: of logarithms for those that are positive."""
    size = special.stdtrit(of_them.degrees, (1 + level) / 2) if of_them.degrees else np.inf
    reach, value = size * of_them.standard_errors, vector[0]
    floors = np.array([one.low for one in of.law.coefficients])
    logs = (floors >= 0) & (value > 0)
    with np.errstate(all="ignore"):
        ratio = np.exp(np.where(logs, reach / value, 0.0))
        low = np.where(logs, value / ratio, value - reach)
        high = np.where(logs, value * ratio, value + reach)
    return low, high


def _bread(
    of: Setup, vector: Vectors, scale: float | None, at: Linearised
) -> Float[np.ndarray, "variable variable"]:
    """The curvature of the objective, with a row and a column for a fitted scale."""
    kind = of.objective.kind
    width, size = len(of.surface.low), len(at.free)
    free = np.append(at.free, np.ones(width - size, dtype=bool))
    both = free[:, None] & free[None]
    if kind in ("student", "normal", "binomial"):
        exact = np.where(both, curvature_at(of, vector, scale).hessian[0], 0.0)
        if np.linalg.eigvalsh(exact[np.ix_(free, free)]).min(initial=0.0) > 0:
            return exact
    result = np.zeros((width, width))
    result[:size, :size] = at.bread
    if width > size:
        result[size, size] = float((at.pull * at.z).sum())
    return result


def _scores(of: Setup, at: Linearised, scale: float | None) -> Float[np.ndarray, "run variable"]:
    """The gradient of every row's loss."""
    scores = at.slope * at.pull[:, None]
    if scale is None or not of.objective.fits_scale:
        return scores
    censored = of.points.censored
    counted = 1.0 if censored is None else 1.0 - censored
    return np.column_stack([scores, counted - at.pull * at.z])


def _inverse(
    matrix: Float[np.ndarray, "variable variable"],
) -> Float[np.ndarray, "variable variable"]:
    """The inverse; directions that are not determined, and coefficients on a bound, are left out."""
    size = np.sqrt(np.abs(np.diag(matrix)))
    size = np.where(size > 0, size, 1.0)
    scaled = np.linalg.pinv(matrix / np.outer(size, size), rcond=DEAD, hermitian=True)
    return scaled / np.outer(size, size)


def _turn(
    of: Setup, inside: Float[np.ndarray, " coefficient"], error: Float[np.ndarray, " coefficient"]
) -> Float[np.ndarray, "coefficient coefficient"]:
    """The derivative of the coefficients by the engine's variables, by central differences."""
    step = STEP * np.where((error > 0) & np.isfinite(error), error, np.maximum(np.abs(inside), 1.0))
    up, down = (natural(of.surface, inside + sign * np.diag(step)) for sign in (1.0, -1.0))
    return (up - down).T / (2 * step)
