"""Tail probabilities of the usual distributions; importing `scipy.stats` would take half a second."""

import math

import numpy as np
from jaxtyping import Float
from scipy import special


def normal_above(value: float) -> float:
    """The probability that a standard normal number is larger."""
    return float(special.ndtr(-value))


def chi2_above(value: float, degrees: float | int) -> float:
    """The probability that a chi-squared number is larger."""
    return float(special.chdtrc(degrees, value))


def t_above(value: float, degrees: float | int) -> float:
    """The probability that a Student t number is larger."""
    return float(special.stdtr(degrees, -value))


def f_above(value: float, above: float | int, below: float | int) -> float:
    """The probability that an F number with these degrees of freedom is larger."""
    return float(special.fdtrc(above, below, value))


def t_log_density(
    value: Float[np.ndarray, " run"], degrees: float | int, scale: Float[np.ndarray, " run"]
) -> Float[np.ndarray, " run"]:
    """The natural logarithm of the density of a Student t number of that scale."""
    half = (degrees + 1) / 2
    constant = special.gammaln(half) - special.gammaln(degrees / 2)
    constant -= math.log(degrees * math.pi) / 2
    return constant - np.log(scale) - half * np.log1p((value / scale) ** 2 / degrees)


def at_most(successes: int, trials: int, chance: float) -> float:
    """The probability of at most so many successes."""
    return float(special.bdtr(successes, trials, chance))


def as_uneven(most: int, trials: int) -> float:
    """The probability that heads or tails come up at least `most` times, more than half of them."""
    return min(1.0, 2 * float(special.bdtr(trials - most, trials, 0.5)))
