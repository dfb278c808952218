"""Directions: independent ways in which the coefficients of a fit are uncertain, each one error long.

They follow from where the runs lie, as if all rows were equally noisy. Resamples say better how wide an
interval is, but which runs would narrow it they tell less well: with few rows they are a rough estimate of
this same covariance.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import Vectors
from analysis.engine.surface import natural
from analysis.fit import Fit
from analysis.uncertainty.linearised import linearised, variables

STEP = 0.3  # of an error: by which derivatives along a direction are taken
WIDEST = 2.0  # times what the resamples span: what rows do not determine is at most so uncertain
DEAD = 1e-14


@dataclass(frozen=True)
class Directions:
    """Coefficients a step up and down each direction, in the units of the law; `step` is their distance
    in errors. `noise` is the error of one row (of the usual one, where they differ) in the unit of
    residuals.
    """

    up: Vectors
    down: Vectors
    step: float
    noise: float

    def along(
        self, high: Float[np.ndarray, "direction *more"], low: Float[np.ndarray, "direction *more"]
    ) -> Float[np.ndarray, "direction *more"]:
        """The change by one error, of something that is known at both ends of every direction."""
        return (high - low) / self.step


def directions(fitted: Fit) -> Directions:
    """The directions of a fit; their squares add up to the covariance by its design."""
    of, size = fitted.setup, len(fitted.law.coefficients)
    at = linearised(of, fitted.vector, fitted.scale)
    error = float(np.sqrt(at.spread / at.curve.mean()))
    inside = variables(of, fitted.vector)
    length = np.linalg.norm(at.slope, axis=0)
    free = np.flatnonzero(length > 0)
    unit = at.slope[:, free] / length[free]
    values, turns = np.linalg.eigh(unit.T @ unit)
    root = turns / np.sqrt(np.maximum(values, DEAD)) * error / length[free][:, None]
    root = root * _shortened(fitted, free, inside, root)
    steps = np.zeros((len(free), size))
    steps[:, free] = STEP * root.T
    low, high = of.surface.low[:size], of.surface.high[:size]
    ends = [natural(of.surface, np.clip(inside + sign * steps, low, high)) for sign in (1, -1)]
    relative = 1.0 if of.surface.relative is None else float(np.median(of.surface.relative))
    scale = 1.0 if fitted.scale is None else fitted.scale
    return Directions(ends[0], ends[1], 2 * STEP, error * relative * scale)


def _shortened(
    fitted: Fit,
    free: np.ndarray,
    inside: Float[np.ndarray, " coefficient"],
    root: Float[np.ndarray, "variable direction"],
) -> Float[np.ndarray, " direction"]:
    """Factors of at most 1, so that no direction is longer than the resamples span."""
    surface, size = fitted.setup.surface, len(inside)
    if len(fitted.draws) < 2:
        return np.ones(root.shape[1])
    with np.errstate(all="ignore"):
        drawn = surface.compiled.internal(fitted.draws, surface.centre)
    drawn = np.clip(np.nan_to_num(drawn), surface.low[:size], surface.high[:size])[:, free]
    spans = np.percentile(drawn, [16, 84], axis=0)
    usual = np.maximum((spans[1] - spans[0]) / 2, 1e-12)
    # In units of what each variable spans, since a direction mixes several.
    return np.minimum(
        1.0, WIDEST * np.sqrt(len(free)) / np.linalg.norm(root / usual[:, None], axis=0)
    )
