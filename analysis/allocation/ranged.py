"""Numbers that are decided on, each with its interval over the draws of a fit, and in words."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.fit import Fit
from analysis.summary import number
from analysis.uncertainty.intervals import ends

OPEN = 1e-6  # natural-log units: an end this near to where the search ended is open


@dataclass(frozen=True)
class Ranged:
    """A number with its interval; None is an end that is open, or no interval at all."""

    value: float
    low: float | None
    high: float | None


def ranged(fitted: Fit, value: float, draws: Float[np.ndarray, " draw"]) -> Ranged:
    """The interval of a number over draws that are read as those of the fit."""
    good = draws[np.isfinite(draws)]
    if len(good) < 2:
        return Ranged(value, None, None)
    low, high = ends(good, np.asarray(value, dtype=np.float64), fitted.level, fitted.reading)
    return Ranged(value, float(low), float(high))


def ranged_log(
    fitted: Fit,
    log: float,
    draws: Float[np.ndarray, " draw"],
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Ranged:
    """The same for a positive number by natural logs; an end that touches `within` is open."""
    found = ranged(fitted, log, draws)
    low = None if found.low is None or found.low <= within[0] + OPEN else math.exp(found.low)
    high = None if found.high is None or found.high >= within[1] - OPEN else math.exp(found.high)
    return Ranged(math.exp(log), low, high)


def document(one: Ranged) -> dict[str, float | None]:
    """As plain data for JSON."""
    return {"value": one.value, "low": one.low, "high": one.high}


def brief(value: float, digits: int = 3) -> str:
    """A number in few digits, as one says it; one digit less where it has an exponent."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{float(f'{value:.{digits}g}'):,.10g}"
    mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def interval_words(one: Ranged, low: float | None = None, high: float | None = None) -> str:
    """The interval: `3.2e9 to 5.5e9`; `low` and `high` say what an open end is beyond."""
    if one.low is None and one.high is None:
        return "no interval"
    if one.low is not None and one.high is not None:
        pairs = [(brief(one.low, digits), brief(one.high, digits)) for digits in (3, 4, 5, 6)]
        left, right = next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
        return f"{left} to {right}"
    if one.low is None:
        return f"{_beyond('below', low)} to {brief(one.high or 0.0)}"
    return f"{brief(one.low)} to {_beyond('beyond', high)}"


def cell(one: Ranged) -> str:
    """A cell of a table: the number, and below it its interval."""
    return f"{number(one.value)}\n{interval_words(one)}"


def _beyond(word: str, value: float | None) -> str:
    return "anything" if value is None else f"{word} {brief(value)}"
