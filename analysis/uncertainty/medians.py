"""Medians with an exact interval, also where some values are only known to be beyond every number."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

LEVEL = 0.95
LEAST = 6
"""Values from which on an interval of 95 % exists: 1 - 2 / 2^6 = 0.97, 1 - 2 / 2^5 = 0.94."""


def median(values: Sequence[float]) -> float:
    """The middle value, infinite where half of the values are.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("expected values, got none")
    ordered = sorted(values)
    lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    if math.isinf(lower) or math.isinf(upper):
        return lower if lower == upper else math.inf if upper == math.inf else -math.inf
    return float(np.mean([lower, upper]))


def order_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """The narrowest pair of values, as many from either end, that has the median at this level.

    Values k and n + 1 - k in order hold it with probability 1 - 2 P(B < k), B binomial (n, 1/2),
    whatever the distribution; None where there are too few for that. Source: Thompson 1936, Annals
    of Mathematical Statistics 7, 122.
    """
    count = len(values)
    ranks = np.arange(count // 2 + 1)
    below = special.bdtr(ranks, count, 0.5)  # P(B <= rank)
    rank = int((below <= (1 - level) / 2).sum())  # the largest k with P(B < k) small enough
    if rank == 0:
        return None
    ordered = sorted(values)
    return float(ordered[rank - 1]), float(ordered[count - rank])
