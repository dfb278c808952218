"""Statistics of the order of numbers: the correlation of ranks, and the middle slope."""

import math

import numpy as np
from jaxtyping import Float

from analysis.uncertainty.distributions import t_above

PAIRS_OF = 2_000  # numbers, beyond which not every pair of them is compared


def ranks(values: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    """The rank of each number, from 1; equal numbers share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def by_chance(left: Float[np.ndarray, " run"], right: Float[np.ndarray, " run"]) -> float:
    """The probability of a correlation of ranks at least this strong; 1 where one is constant.

    Student t with two degrees of freedom less than there are numbers, as usual.
    """
    one, other = ranks(left), ranks(right)
    one, other = one - one.mean(), other - other.mean()
    size = math.sqrt(float((one**2).sum()) * float((other**2).sum()))
    spare = len(one) - 2
    if size == 0 or spare < 1:
        return 1.0
    strength = min(abs(float((one * other).sum())) / size, 1.0)
    if strength == 1:
        return 0.0
    return min(1.0, 2 * t_above(strength * math.sqrt(spare / (1 - strength**2)), spare))


def middle_slope(y: Float[np.ndarray, " run"], x: Float[np.ndarray, " run"]) -> float:
    """The median of the slopes between pairs of points; 0 where all x are equal.

    Many points are paired once each, one of the lower half of x with one of the upper half.
    """
    if len(x) <= PAIRS_OF:
        low, high = np.triu_indices(len(x), 1)
    else:
        order, half = np.argsort(x, kind="stable"), len(x) // 2
        low, high = order[:half], order[-half:]
    apart = x[high] - x[low]
    differ = apart != 0
    return float(np.median((y[high] - y[low])[differ] / apart[differ])) if differ.any() else 0.0
