"""Whether a law misses its rows by more than the noise that is known of each: chi-square per degree."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.engine import misfit
from analysis.fit import Fit


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


def chi_square(fitted: Fit) -> ChiSquare | None:
    """The residuals of a fit against the known noise of its rows.

    None where no noise is known, or no row is to spare.
    """
    on, law = fitted.points, fitted.law
    degrees = len(on) - len(law.coefficients)
    if on.noise is None or degrees < 1:
        return None
    noise = on.noise / on.measured if fitted.objective_used.residual == "log" else on.noise
    value = float(((misfit(fitted.setup, fitted.vector)[0] / noise) ** 2).sum())
    if not np.isfinite(value):
        return None
    return ChiSquare(value, degrees, float(special.chdtrc(degrees, value)))
