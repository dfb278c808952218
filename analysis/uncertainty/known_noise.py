"""Whether a law misses its rows by more than the noise that is known of each: chi-square per degree."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.engine.compiled import Vectors
from analysis.engine.refit import Setup, misfit


@dataclass(frozen=True)
class ChiSquare:
    """The sum of squared residuals in units of each row's known noise, and its degrees of freedom.

    `per_degree` near 1 says that the noise explains the residuals; `chance` is the probability of a
    sum as large if it does.
    """

    value: float
    degrees: int
    chance: float

    @property
    def per_degree(self) -> float:
        """Chi-square over its degrees of freedom."""
        return self.value / self.degrees


def chi_square(of: Setup, vector: Vectors) -> ChiSquare | None:
    """The residuals of a fit against the known noise of its rows.

    None where no noise is known, or no row is to spare.
    """
    on, degrees = of.points, len(of.points) - len(of.law.coefficients)
    if on.noise is None or degrees < 1:
        return None
    noise = on.noise / on.measured if of.objective.residual == "log" else on.noise
    value = float(((misfit(of, vector)[0] / noise) ** 2).sum())
    if not np.isfinite(value):
        return None
    return ChiSquare(value, degrees, float(special.chdtrc(degrees, value)))
