"""What a fit makes small: the loss of one residual, with its derivatives.

Residuals are divided by the relative noise of their row, where it is known. Sources: Huber 1964,
doi:10.1214/aoms/1177703732; Lange, Little and Taylor 1989, doi:10.1080/01621459.1989.10478852
(Student t); Tobin 1958, doi:10.2307/1907382 (censored rows).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from trainers.schema import InputError

Kind = Literal["huber", "squares", "laplace", "student", "normal", "binomial"]
KINDS: tuple[Kind, ...] = ("huber", "squares", "laplace", "student", "normal", "binomial")
Residual = Literal["log", "plain"]

Rows = Float[np.ndarray, "#problem run"]

DELTA = (
    1e-3  # in natural-log units of the loss; Hoffmann et al. 2022, arXiv:2203.15556, section 3.3
)
SMOOTH = 1e-4  # of the scale: within it the Laplace loss is rounded, so that it has derivatives
STAGES = (0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6)


@dataclass(frozen=True)
class Objective:
    """The loss of a residual and what a residual is: of logarithms, or of plain values.

    `huber` is r^2 / 2 up to `delta` and delta (|r| - delta / 2) beyond, `squares` is r^2 / 2.
    `normal`, `laplace` and `student` (with `degrees` of freedom) are negative log likelihoods whose
    scale is fitted too, `binomial` is that of a share of counts, less its value at a perfect fit.
    """

    kind: Kind = "huber"
    residual: Residual = "log"
    delta: float = DELTA
    degrees: float = 4.0

    @property
    def fits_scale(self) -> bool:
        """Whether the spread of the residuals is fitted together with the coefficients."""
        return self.kind in ("laplace", "student", "normal")


@dataclass(frozen=True)
class RowLoss:
    """The loss of every row and its first two derivatives by the standardised residual.

    `curve` is a positive stand-in for the second derivative: that of reweighted least squares.
    """

    value: Rows
    first: Rows
    second: Rows
    curve: Rows


def checked(objective: Objective) -> Objective:
    """The objective, if it makes sense.

    Raises:
        InputError: delta or the degrees of freedom are not positive numbers.
    """
    if objective.kind not in KINDS:
        raise InputError(f"objective: expected one of {', '.join(KINDS)}, got {objective.kind}")
    for name, value in (("delta", objective.delta), ("degrees", objective.degrees)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name}: expected a positive number, got {value}")
    if objective.kind == "binomial" and objective.residual != "log":
        raise InputError("objective: expected log residuals for binomial")
    return objective


def stages(objective: Objective) -> tuple[Objective, ...]:
    """Smoother objectives to be solved first, the smoothest first; a sharp one has many minima."""
    match objective.kind:
        case "huber":
            return tuple(replace(objective, delta=one) for one in STAGES if one > objective.delta)
        case "laplace":
            # The scale is fitted, so each stage's delta is a share of it.
            steps = (1.0, 0.3, *(one for one in STAGES if one > SMOOTH))
            return tuple(replace(objective, delta=one) for one in steps)
        case "student":
            return (replace(objective, kind="normal"),)
        case _:
            return ()


def final(objective: Objective) -> Objective:
    """The objective as the solver sees it at last: a Laplace loss is rounded at its tip."""
    return replace(objective, delta=SMOOTH) if objective.kind == "laplace" else objective


def row_loss(objective: Objective, z: Rows, censored: Bool[np.ndarray, " run"] | None) -> RowLoss:
    """The loss of standardised residuals z; a censored row says only that its value is larger."""
    plain = _uncensored(objective, z)
    if censored is None or not censored.any():
        return plain
    # P(true > measured) is Phi(z), z = (predicted - measured) / scale.
    hazard = np.exp(-(z**2) / 2 - special.log_ndtr(z)) / np.sqrt(2 * np.pi)
    bend = hazard * (z + hazard)
    return RowLoss(
        np.where(censored, -special.log_ndtr(z), plain.value),
        np.where(censored, -hazard, plain.first),
        np.where(censored, bend, plain.second),
        np.where(censored, bend, plain.curve),
    )


def binomial_loss(log_rate: Rows, share: Rows, counts: Float[np.ndarray, " run"]) -> RowLoss:
    """Half the binomial deviance of a predicted ln rate; infinite where the rate is 1 or more."""
    good = log_rate < 0
    safe = np.where(good, log_rate, -1.0)
    miss = -np.expm1(safe)  # 1 - rate
    rate = np.exp(safe)
    perfect = special.xlogy(share, share) + special.xlog1py(1 - share, -share)
    value = counts * (perfect - share * safe - special.xlogy(1 - share, miss))
    odds = rate / miss
    return RowLoss(
        np.where(good, value, np.inf),
        counts * ((1 - share) * odds - share),
        counts * (1 - share) * odds / miss,
        counts * odds,
    )


def _uncensored(objective: Objective, z: Rows) -> RowLoss:
    ones = np.ones_like(z)
    if objective.kind in ("squares", "normal"):
        return RowLoss(z**2 / 2, z, ones, ones)
    if objective.kind == "student":
        degrees = objective.degrees
        curve = (degrees + 1) / (degrees + z**2)
        return RowLoss(
            (degrees + 1) / 2 * np.log1p(z**2 / degrees),
            curve * z,
            curve * (degrees - z**2) / (degrees + z**2),
            curve,
        )
    delta = objective.delta
    size = 1.0 / delta if objective.kind == "laplace" else 1.0
    clipped = np.clip(z, -delta, delta)
    inside = np.abs(z) < delta
    # |z| never falls below |clipped|, and where both are 0 the reweighted weight is 1.
    curve = np.where(inside, 1.0, delta / np.maximum(np.abs(z), delta))
    # clipped * (z - clipped / 2) is both branches of the Huber loss at once.
    return RowLoss(size * clipped * (z - clipped / 2), size * clipped, size * inside, size * curve)
