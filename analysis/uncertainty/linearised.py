"""A fit to first order at its optimum: the slope, the pull and the leverage of every row.

A sharp objective (Huber with a delta below the noise, Laplace) has next to no curvature where it
stands, since few residuals lie within its rounded tip. What counts is its curvature on average, which
is taken from the residuals within a window as wide as the noise. Source: Powell 1991, Estimation of
monotonic regression models under quantile restrictions (the same for quantiles, row by row).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Vectors
from analysis.engine.objective import RowLoss, binomial_loss, row_loss
from analysis.engine.refit import Setup, curvature_at, misfit
from analysis.engine.surface import Surface, held, one_problem

WINDOW, FEW = (
    0.8,
    30,
)  # half of the window that measures a density, over the spread, at so many rows
NORMAL = 1.4826  # from the median of absolute residuals to the standard deviation of normal ones
FULLEST = 0.95  # leverage of a row that the fit all but passes through
WEAKEST = 0.05  # of the curvature of all rows: what those within the window must keep
SHARP = 0.5  # an objective is sharp where less than this share of the residuals is in its round tip


@dataclass(frozen=True)
class Linearised:
    """Derivatives of every row's loss at an optimum, in the engine's variables.

    `slope` is that of the residual in units of the row's noise and of the fitted scale, `z` the
    residual in them, `pull` the derivative of the loss by z, `curve` its second derivative on average,
    `bread` the curvature of the objective (row by row, so that rows of less noise count more under a
    sharp objective), `leverage` how much of z a row explains itself. `free` says which coefficients are
    on no bound, `spare` how many rows there are beyond these, `sharp` whether few residuals feel
    curvature.
    """

    slope: Float[np.ndarray, "run coefficient"]
    z: Float[np.ndarray, " run"]
    pull: Float[np.ndarray, " run"]
    curve: Float[np.ndarray, " run"]
    bread: Float[np.ndarray, "coefficient coefficient"]
    leverage: Float[np.ndarray, " run"]
    free: Bool[np.ndarray, " coefficient"]
    spare: int
    sharp: bool

    @property
    def freed(self) -> Float[np.ndarray, " run"]:
        """The residuals z without what each row explains of itself: of equal size on average.

        Those of least squares are z / sqrt(1 - leverage).
        """
        more = 1 / np.sqrt(1 - self.leverage) - 1
        return self.z + more * self.pull / self.curve

    @property
    def spread(self) -> float:
        """The mean squared pull over the mean curvature: what an objective is to a likelihood."""
        return float((self.pull**2).sum() / max(self.spare, 1) / self.curve.mean())


def linearised(of: Setup, vector: Vectors, scale: float | None = None) -> Linearised:
    """Expand a fit around its optimum; `scale` is its fitted spread, if it fits one."""
    on, size = of.surface, len(of.law.coefficients)
    bends = curvature_at(of, vector, scale)
    inside = variables(of, vector)
    problems = one_problem(on)
    stuck = held(problems, np.append(inside, np.zeros(len(on.low) - size))[None], bends.gradient)
    free = ~stuck[0, :size]
    unit = (1.0 if on.relative is None else on.relative) * (1.0 if scale is None else scale)
    unit = np.broadcast_to(np.asarray(unit, dtype=np.float64), (len(on.target),))
    model, *parts = on.compiled.derivatives.run(
        [inside[None, [place]] for place in range(size)], on.runs, on.centre
    )
    rows = (1, len(on.target))
    jacobian = np.stack([np.broadcast_to(one, rows)[0] for one in parts[:size]], axis=1)
    if on.compiled.logarithmic:
        jacobian = jacobian / np.broadcast_to(model, rows)[0][:, None]
    spare = len(on.target) - int(free.sum())
    z, losses = _losses(of, vector, unit)
    curve, local, sharp = _curve(on, z, losses, spare)
    slope = np.where(free, jacobian / unit[:, None], 0.0)
    root = slope * np.sqrt(curve)[:, None]
    length = np.linalg.norm(root, axis=0)
    left, values, _ = np.linalg.svd(root / np.where(length > 0, length, 1.0), full_matrices=False)
    alive = values > 1e-7 * values.max(initial=0.0)
    leverage = np.minimum((left[:, alive] ** 2).sum(axis=1), FULLEST)
    bread = _sum(slope, local) if _determined(slope, local) else _sum(slope, curve)
    return Linearised(slope, z, losses.first[0], curve, bread, leverage, free, spare, sharp)


def variables(of: Setup, vector: Vectors) -> Float[np.ndarray, " coefficient"]:
    """The coefficients of a fit as the engine's variables."""
    on, size = of.surface, len(of.law.coefficients)
    with np.errstate(all="ignore"):
        inside = on.compiled.internal(vector, on.centre)[0]
    return np.clip(np.nan_to_num(inside, nan=0.0), on.low[:size], on.high[:size])


def _losses(
    of: Setup, vector: Vectors, unit: Float[np.ndarray, " run"]
) -> tuple[Float[np.ndarray, " run"], RowLoss]:
    on, residual = of.surface, misfit(of, vector)
    if on.share is not None and on.counts is not None:
        return residual[0], binomial_loss(residual + on.target, on.share[None], on.counts)
    z = residual / unit
    return z[0], row_loss(on.objective, z, on.censored)


def _curve(
    on: Surface, z: Float[np.ndarray, " run"], losses: RowLoss, spare: int
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"], bool]:
    """The second derivative of the loss on average, row by row, and whether it is rarely felt."""
    kind, tiny = on.objective.kind, np.finfo(np.float64).tiny
    if kind == "binomial":
        curve = np.maximum(losses.curve[0], tiny)
        return curve, curve, False
    if kind not in ("huber", "laplace"):
        second = losses.second[0]
        if on.censored is not None and on.censored.any():
            curve = np.maximum(second, tiny)
            return curve, curve, False
        mean = float(second.mean())
        curve = np.full(len(z), mean if mean > 0 else float(losses.curve.mean()))
        return curve, curve, False
    delta = on.objective.delta
    size = 1.0 / delta if kind == "laplace" else 1.0
    usual = NORMAL * float(np.median(np.abs(z))) * np.sqrt(len(z) / max(spare, 1))
    narrower = min((len(z) / FEW) ** -0.2, 1.0)  # as a density's best window narrows with rows
    window = max(delta, WINDOW * narrower * usual)
    near = np.abs(z) <= window
    height = size * delta / window
    # A sharp fit passes through as many rows as it has coefficients; they say nothing of its tip.
    inside = int((np.abs(z) <= delta).sum()) - (len(z) - spare)
    sharp = kind == "laplace" or inside < SHARP * spare
    mean = height * max(float(near.mean()), 1.0 / len(z))
    return np.full(len(z), mean), height * near, sharp


def _sum(
    slope: Float[np.ndarray, "run coefficient"], curve: Float[np.ndarray, " run"]
) -> Float[np.ndarray, "coefficient coefficient"]:
    return (slope * curve[:, None]).T @ slope


def _determined(
    slope: Float[np.ndarray, "run coefficient"], curve: Float[np.ndarray, " run"]
) -> bool:
    """Whether the rows whose curvature is felt determine every direction nearly as well as all do."""
    length = np.linalg.norm(slope, axis=0)
    unit = slope[:, length > 0] / length[length > 0]
    if not unit.shape[1] or (curve > 0).sum() < 2 * unit.shape[1]:
        return False
    part = np.linalg.eigvalsh(_sum(unit, curve / curve.max()))
    whole = np.linalg.eigvalsh(_sum(unit, np.ones(len(curve))))
    return bool(part[0] > WEAKEST * max(whole[0], 0.0))
