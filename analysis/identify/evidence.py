"""What findings are made from: a fit, its optimum, its resamples, and what noise can hide."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.refit import Optimum, Setup, misfit
from analysis.engine.surface import natural
from analysis.points import Points, Pool

LIKELY = 1.9207  # half the 95 % point of chi-square with one degree of freedom


@dataclass(frozen=True)
class Evidence:
    """A fit before its words.

    `refitted` is the share of resamples that converged, `scatter` the standard error of each residual
    where its replicates tell it, `asked` how many resamples were wanted, `seed` that of theirs.
    """

    of: Setup
    found: Optimum
    at_bound: Bool[np.ndarray, " coefficient"]
    draws: Float[np.ndarray, "draw coefficient"]
    drawn: str
    asked: int
    pool: Pool
    seed: int = 42
    refitted: float = 1.0
    scatter: Float[np.ndarray, " run"] | None = None

    @property
    def on(self) -> Points:
        """What was fitted."""
        return self.of.points

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients."""
        return tuple(one.name for one in self.of.law.coefficients)

    @property
    def best(self) -> Float[np.ndarray, "1 coefficient"]:
        """The coefficients in the units of the law."""
        return self.found.vectors[:1]

    @property
    def inside(self) -> Float[np.ndarray, " variable"]:
        """The optimum in the engine's variables; the logarithm of a fitted scale is the last."""
        return self.found.solution.vectors[0]

    @property
    def floors(self) -> tuple[int, ...]:
        """The places of the coefficients that stand alone and cannot fall below 0."""
        return tuple(
            place
            for place in self.of.surface.compiled.constants
            if self.of.law.coefficients[place].low == 0
        )


def spread(on: Evidence) -> float:
    """The usual size of a residual: the median, as the standard deviation of normal ones."""
    return float(1.4826 * np.median(np.abs(misfit(on.of, on.best)[0])))


def is_perfect(on: Evidence) -> bool:
    """Whether the law passes through every row up to rounding."""
    surface = on.of.surface
    if surface.objective.kind == "binomial":
        return False
    residual = misfit(on.of, on.best)[0]
    return float((residual**2).mean()) <= 100 * surface.rounding


def allowance(on: Evidence) -> float:
    """By how much the objective may rise before a likelihood ratio rejects at 95 %.

    An objective without a scale is taken as the one of a likelihood whose scale is fitted: normal
    while residuals are within delta, Laplace beyond it. Source: Wilks 1938, The Large-Sample
    Distribution of the Likelihood Ratio for Testing Composite Hypotheses.
    """
    objective = on.of.objective
    if objective.fits_scale or objective.kind == "binomial":
        return LIKELY
    beyond = 0.0
    if objective.kind == "huber":
        relative = on.of.surface.relative
        residual = np.abs(misfit(on.of, on.best)[0])
        residual = residual if relative is None else residual / relative
        beyond = float((residual > objective.delta).mean())
    spare = max(1, len(on.on) - len(on.names))
    return float(on.found.value * np.expm1(LIKELY / (spare * (1 + beyond) / 2)))


def limits(
    of: Setup,
) -> tuple[Float[np.ndarray, " coefficient"], Float[np.ndarray, " coefficient"]]:
    """The bounds of every coefficient in the units of the law; of linear ones as the law has them."""
    size = len(of.law.coefficients)
    low, high = (_natural(of, np.array(one[:size])) for one in (of.surface.low, of.surface.high))
    for place, one in enumerate(of.law.coefficients):
        if one.starts is None:
            low[place], high[place] = one.low, one.high
    return low, high


def _natural(
    of: Setup, vector: Float[np.ndarray, " coefficient"]
) -> Float[np.ndarray, " coefficient"]:
    with np.errstate(all="ignore"):
        return natural(of.surface, vector[None])[0]
