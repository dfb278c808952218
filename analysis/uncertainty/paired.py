"""Draws of the coefficients of two fits, from the same resamples where their rows are the same."""

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.refit import refit
from analysis.fit import Fit
from analysis.points import Points
from analysis.uncertainty.resamples import MANY_NUMBERS, resamples, usable

Drawn = tuple[Float[np.ndarray, "draw one"], Float[np.ndarray, "draw other"]]
"""Coefficients of the first and of the second fit."""

HALF = 0.5  # share of resamples that must determine both laws


def same_rows(first: Fit, second: Fit) -> bool:
    """Whether two fits are of the same rows (or cells) in the same order."""
    one, other = first.points, second.points
    if first.pool != second.pool or not _equal(one.measured, other.measured):
        return False
    for left, right in ((one.cluster, other.cluster), (one.counts, other.counts)):
        if (left is None) != (right is None):
            return False
        if left is not None and right is not None and not _equal(left, right):
            return False
    shared = set(one.values) & set(other.values)
    if not all(_equal(one.values[name], other.values[name]) for name in shared):
        return False
    return all(map(_equal, one.replicates, other.replicates))


def drawn_together(first: Fit, second: Fit, count: int, seed: int) -> Drawn:
    """Coefficients of both fits, draw by draw; none where too few resamples determine both laws.

    Fits of the same rows are refitted to the same resamples, others to resamples of their own. Of
    very many rows the draws of the fits themselves are taken.
    """
    fits = (first, second)
    none = tuple(np.empty((0, len(one.law.coefficients))) for one in fits)
    if count < 2:
        return none[0], none[1]
    if max(len(one.points) for one in fits) * count > MANY_NUMBERS:
        least = min(len(one.draws) for one in fits)
        return first.draws[:least], second.draws[:least]
    seeds = (seed, seed if same_rows(first, second) else seed + 1)
    made = [
        resamples(one.points, one.pool, "auto", count, its)
        for one, its in zip(fits, seeds, strict=True)
    ]
    good = np.ones(count, dtype=bool)
    for one, drawn in zip(fits, made, strict=True):
        if drawn.weight is not None:
            good &= _usable(one, drawn.weight)
    if good.mean() < HALF:
        return none[0], none[1]
    found = [
        refit(
            one.setup,
            one.vector,
            weight=None if drawn.weight is None else drawn.weight[good],
            measured=None if drawn.measured is None else drawn.measured[good],
        ).vectors
        for one, drawn in zip(fits, made, strict=True)
    ]
    return found[0], found[1]


def _usable(fitted: Fit, weight: Float[np.ndarray, "draw run"]) -> Bool[np.ndarray, " draw"]:
    on: Points = fitted.points
    size = len(fitted.law.coefficients)
    if len(on) <= size:  # weights cannot move a law that passes through every point
        return np.zeros(len(weight), dtype=bool)
    return usable(on, weight, {one.name: one.levels for one in fitted.law.inputs}, size)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool((one == other).all())
